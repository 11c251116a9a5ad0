"""`otel-genai report` answers a mistake in one line."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.recording.json_lines import header, operation, write
from tests.support.recording.report import answer

if TYPE_CHECKING:
    from pathlib import Path


def test_a_reader_that_stops_early_causes_no_traceback(tmp_path: Path) -> None:
    recording = write(tmp_path / "run.jsonl", header(), *(operation(model=f"model-{number}") for number in range(2000)))
    command = f"{sys.executable} -m otel_genai report --csv {recording} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("operation,model,calls")
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = answer(capsys, "--help")
    assert (status, err) == (0, "")
    assert "otel-genai report run*.jsonl -o report.html" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "the following arguments are required: FILE (see otel-genai report --help)"),
        (["nosuch.jsonl"], "nosuch.jsonl: No such file or directory"),
        (["other.txt"], "other.txt is no recording: it does not begin with a header"),
        (["run.jsonl", "other.txt"], "other.txt is no recording: it does not begin with a header"),
        (["run.jsonl", "-o", "nosuch/page.html"], "cannot write nosuch/page.html: No such file or directory"),
        (["run.jsonl", "--compare"], "--compare takes two recordings, and prints a table or --json"),
        (
            ["run.jsonl", "run.jsonl", "--compare", "--csv"],
            "--compare takes two recordings, and prints a table or --json",
        ),
        (["run.jsonl", "nosuch.jsonl", "--compare"], "nosuch.jsonl: No such file or directory"),
        (
            ["run.jsonl", "--csv", "--json"],
            "argument --json: not allowed with argument --csv (see otel-genai report --help)",
        ),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    arguments: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "run.jsonl", header(), operation())
    (tmp_path / "other.txt").write_text("Dear diary,\n")
    monkeypatch.chdir(tmp_path)
    status, _, err = answer(capsys, *arguments)
    assert (status, err) == (2, f"otel-genai report: {line}\n")


@pytest.mark.parametrize(
    ("missing", "arguments"), [("rich", []), ("plotly", ["-o", "page.html"]), ("msgspec", []), ("msgspec", ["--csv"])]
)
def test_a_missing_extra_is_named(missing: str, arguments: list[str], tmp_path: Path) -> None:
    recording = write(tmp_path / "run.jsonl", header(), operation())
    command = ["report", str(recording), *arguments]
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from otel_genai.cli import main; sys.exit(main({command!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    line = "otel-genai report needs the extra 'report': pip install 'otel-genai[report]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_json_and_csv_need_neither_rich_nor_plotly(tmp_path: Path) -> None:
    recording = write(tmp_path / "run.jsonl", header(), operation())
    command = ["report", str(recording), "--csv"]
    program = (
        "import sys; sys.modules['rich'] = sys.modules['plotly'] = None; "
        f"from otel_genai.cli import main; sys.exit(main({command!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 2, "")


def test_a_long_input_shows_a_progress_bar_and_a_short_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = write(tmp_path / "run.jsonl", header(), operation())
    long = write(
        tmp_path / "long.jsonl", header(), operation(), *[json.dumps({"type": "later", "x": "x" * 1_000_000})] * 21
    )
    assert _on_a_terminal(recording) == ""
    assert "reading" in _on_a_terminal(long)


def _on_a_terminal(recording: Path) -> str:
    """What the command writes to stderr, if that is a terminal."""
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "otel_genai", "report", recording],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    assert done.wait(timeout=30) == 0
    os.set_blocking(ours, False)
    try:
        written = os.read(ours, 100_000).decode()
    except BlockingIOError:
        written = ""
    os.close(theirs)
    os.close(ours)
    return written
