"""The table shows the figures, and footnotes say what is missing."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

from otel_genai.recording.output.table import lines
from tests.support.recording.json_lines import ERROR, header, operation, stream, write
from tests.support.recording.report import answer, rows

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = write(
        tmp_path / "run.jsonl",
        header(),
        stream([100_000, 200_000, 250_000, 400_000], usage={"input": 10, "output": 3}),
        operation(error=ERROR, duration_us=400_000),
    )
    status, out, err = answer(capsys, recording)
    assert (status, err) == (0, "")
    assert [line.rstrip() for line in out.splitlines()] == [
        "                           first               per output",
        "operation       duration   token  inter-chunk       token        tokens",
        "───────────────────────────────────────────────────────────────────────",
        "chat       p50    400 ms  200 ms       100 ms      100 ms         10 in",
        "model-1    p90    400 ms  200 ms       140 ms      100 ms         3 out",
        "2 calls    p95    400 ms  200 ms       145 ms      100 ms  7.5/s a call",
        "1 error    p99    400 ms  200 ms       149 ms      100 ms  7.5/s in all",
    ]


def test_the_table_fits_a_terminal_of_eighty_columns(tmp_path: Path) -> None:
    recording = write(
        tmp_path / "run.jsonl",
        header(),
        stream([2_100_000, 2_200_000], output=2_000_000, model="a-model-of-a-long-name" * 3),
    )
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "otel_genai", "report", recording],
        stdout=theirs,
        env={**os.environ, "COLUMNS": "80", "TERM": "dumb"},
    )
    assert done.wait(timeout=30) == 0
    os.close(theirs)
    written = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "2.00M out" in written
    assert max(map(len, written.splitlines())) <= 80


def test_streams_without_a_first_token_show_the_first_chunk_with_a_footnote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = write(tmp_path / "run.jsonl", header(), stream([100_000, 200_000], first_token_us=None))
    _, out, _ = answer(capsys, recording)
    assert "100 ms*" in out
    assert "* time to first chunk: these streams do not report which chunk carried the first token." in out


def test_missing_values_have_footnotes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = write(
        tmp_path / "run.jsonl",
        header(),
        operation(usage={"input": 5}),
        operation(),
        '{"type": "operation", "trace',
        {"type": "limit", "limit_bytes": 1000},
        {"type": "limit", "left_out": 7},
    )
    _, out, _ = answer(capsys, recording)
    assert "≥5 in" in out
    assert "≥ some calls did not report their tokens." in out
    assert "1 damaged line skipped." in out
    assert "7 operations left out where recordings reached their size limit." in out


def test_a_killed_process_at_its_limit_has_a_footnote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = write(tmp_path / "run.jsonl", header(), operation(), {"type": "limit", "limit_bytes": 1000})
    _, out, _ = answer(capsys, recording)
    assert "A recording reached its size limit; later operations are missing." in out


def test_an_empty_recording_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = write(tmp_path / "run.jsonl", header())
    assert answer(capsys, recording) == (0, "No GenAI calls were recorded.\n", "")
    assert answer(capsys, recording, "--csv") == (0, "", "")


def test_names_print_no_control_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = write(tmp_path / "run.jsonl", header(), operation(model="\x1b[2J[red]name\ud800"))
    for arguments in ((), ("--csv",), ("--compare", recording)):
        _, out, _ = answer(capsys, recording, *arguments)
        assert "?[2J[red]name?" in "".join(out.split("\n"))


def test_several_files_are_one_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [write(tmp_path / f"{name}.jsonl", header(), operation()) for name in ("run", "run.7")]
    assert "2 calls" in answer(capsys, *files)[1]


def test_a_line_has_a_cell_for_each_column(tmp_path: Path) -> None:
    (line,) = lines(rows(tmp_path, stream([100_000, 200_000], output=2, unfinished=True)))
    assert line.name == ("chat", "model-1", "1 call", "0 errors", "1 unfinished")
    assert {len(times) for times in line.times} == {4}
    assert len(line.tokens) == 4
