"""`otel_genai.recording.read` yields the operations of a file, and reports damage once."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from otel_genai.recording import NotARecordingError, RecordedOperation, read
from tests.support.recording.files import HEADER, STREAM, saved

if TYPE_CHECKING:
    from pathlib import Path


def test_the_operations_are_yielded_in_the_files_order(tmp_path: Path) -> None:
    limit = {"type": "limit", "limit_bytes": 1000}
    run = saved(tmp_path / "run.jsonl", HEADER, STREAM, HEADER | {"pid": 8}, STREAM | {"duration_us": 500_000}, limit)
    found = [*read(run)]
    assert [type(one) for one in found] == [RecordedOperation] * 2
    assert [(one.process.pid, one.duration, [*one.chunks]) for one in found] == [
        (7, 0.4, [0.15, 0.25, 0.4]),
        (8, 0.5, [0.15, 0.25, 0.4]),
    ]


def test_a_path_may_be_text(tmp_path: Path) -> None:
    run = saved(tmp_path / "run.jsonl", HEADER, STREAM)
    assert [one.model for one in read(str(run))] == ["model-1-0806"]


def test_damaged_lines_are_one_warning_with_the_number_of_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = saved(tmp_path / "run.jsonl", HEADER, STREAM, b"}{\n", STREAM, b'{"type": "oper')
    assert len([*read(run)]) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"{run}: damaged lines are left out: 2, the first is line 3"
    ]


def test_a_file_that_is_no_recording_raises(tmp_path: Path) -> None:
    with pytest.raises(NotARecordingError, match="is no recording: it does not begin with a header"):
        next(read(saved(tmp_path / "other.txt", b"Dear diary,\n")))


def test_without_the_extra_the_error_names_it() -> None:
    program = "import sys; sys.modules['msgspec'] = None; from otel_genai.recording import read"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: recordings are read with the extra 'report': pip install 'otel-genai[report]'"
    )


def test_the_recorder_needs_no_extra() -> None:
    program = "import sys; sys.modules['msgspec'] = None; import otel_genai.recording.recorder"
    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=True).returncode == 0
