"""The files of a run are those of its processes, and no other file is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_genai.recording.file import locking
from otel_genai.recording.file.locking import NotARecordingError, discard, files_of
from tests.support.recording.files import HEADER, saved

if TYPE_CHECKING:
    from pathlib import Path

    from otel_genai.recording.recorder import Recorder


def test_the_files_of_a_run_are_those_of_its_processes(tmp_path: Path) -> None:
    for name in (
        "run.jsonl",
        "run.12.jsonl",
        "run.7.jsonl",
        "run.old.jsonl",
        "running.jsonl",
        "run.7.json",
        "run.7.x.jsonl",
    ):
        saved(tmp_path / name, HEADER)
    assert [file.name for file in files_of(tmp_path / "run.jsonl")] == ["run.jsonl", "run.12.jsonl", "run.7.jsonl"]
    assert files_of(tmp_path / "none.jsonl") == []
    assert files_of(tmp_path / "no" / "such.jsonl") == []


def test_discarding_a_run_leaves_other_files_alone(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    for name in ("run.jsonl", "run.12.jsonl", "run.old.jsonl"):
        saved(tmp_path / name, HEADER)
    discard(run)
    assert [file.name for file in tmp_path.iterdir()] == ["run.old.jsonl"]
    discard(run)


def test_a_foreign_file_and_a_file_in_use_are_not_discarded(tmp_path: Path, recording: Recorder) -> None:
    foreign = saved(tmp_path / "notes.jsonl", {"type": "note"})
    saved(tmp_path / "notes.3.jsonl", HEADER)
    with pytest.raises(NotARecordingError, match=r"notes.jsonl is no recording, and is left as it is$"):
        discard(foreign)
    with pytest.raises(OSError, match="another process records to it"):
        discard(recording.path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["notes.3.jsonl", "notes.jsonl", "run.jsonl"]


def test_a_file_is_free_when_its_recorder_has_stopped(recording: Recorder) -> None:
    assert locking.claim(recording.path).size == 0  # the one beside it
    recording.stop()
    assert locking.claim(recording.path).size > 0
