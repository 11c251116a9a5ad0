"""A report's figures are exact, the same whether they are read by people or by programs, and a mistake is answered in one line."""

# ruff: noqa: RUF001 - the dash is the report's own
from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.cli import main
from otel_genai.recording.analysis.comparison import compared, pairs
from otel_genai.recording.analysis.statistics import Figures, Percentiles, figures
from otel_genai.recording.analysis.summary import Tokens
from otel_genai.recording.file.decode import read_recordings
from otel_genai.recording.output.table import lines
from tests.support.recording.json_lines import ERROR, header, operation, stream, write

if TYPE_CHECKING:
    from pathlib import Path


def rows(path: Path, *recorded: dict[str, Any]) -> list[Figures]:
    """The figures of a recording of these operations."""
    return figures(read_recordings([write(path / "run.jsonl", header(), *recorded)]).operations)


def only(path: Path, *recorded: dict[str, Any]) -> Figures:
    (row,) = rows(path, *recorded)
    return row


def all_at(value: float, *, count: int = 1) -> Percentiles:
    return Percentiles(count=count, p50=value, p90=value, p95=value, p99=value)


def about(value: float) -> Any:
    """Equal but for the noise of floats."""
    return pytest.approx(value)


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[object, str, str]:
    """Exit status, stdout and stderr of `otel-genai report`."""
    status: object
    try:
        status = main(["report", *map(str, arguments)])
    except SystemExit as leaving:
        status = leaving.code
    out, err = capsys.readouterr()
    return status, out, err


# ── figures ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_figures_are_exact(tmp_path: Path) -> None:
    found = only(
        tmp_path,
        stream([100_000, 200_000, 250_000, 400_000], output=3, usage={"input": 10, "output": 3}),
        operation(began_us=1_000_000, duration_us=3_600_000, error=ERROR),
        operation(began_us=3_000_000, duration_us=1_000_000, unfinished=True),
    )
    assert found == Figures(
        operation="chat",
        model="model-1",
        calls=3,
        errors=1,
        unfinished=1,
        duration=Percentiles(
            count=3,
            p50=1.0,
            p90=about(1.0 + 0.8 * 2.6),
            p95=about(1.0 + 0.9 * 2.6),
            p99=about(1.0 + 0.98 * 2.6),
        ),
        first_token=all_at(0.2),
        first_chunk=all_at(0.1),
        inter_chunk=Percentiles(
            count=3,
            p50=about(0.1),
            p90=about(0.14),
            p95=about(0.145),
            p99=about(0.149),
        ),
        per_output_token=all_at(0.1),  # from 200 ms to 400 ms, for two tokens after the first
        input_tokens=Tokens(count=10, complete=False),
        output_tokens=Tokens(count=3, complete=False),
        output_rate=7.5,
        throughput=about(3 / 4.6),
    )


def test_what_nobody_told_is_unknown(tmp_path: Path) -> None:
    found = only(tmp_path, operation(model=None))
    assert (found.model, found.first_token, found.first_chunk, found.inter_chunk) == (None, None, None, None)
    assert (found.per_output_token, found.input_tokens, found.output_tokens) == (None, None, None)
    assert (found.output_rate, found.throughput) == (None, None)


def test_where_tokens_are_known_by_chunk_the_last_token_is_not_the_last_chunk(tmp_path: Path) -> None:
    found = only(tmp_path, stream([100_000, 200_000, 300_000, 900_000], output=3, tokens=[0, 1, 2, 0]))
    assert found.per_output_token == all_at(about(0.05))


def test_an_engines_tokens_are_timed_though_nobody_streams(tmp_path: Path) -> None:
    asked, answered = {"side": "internal"}, {"finish_reasons": ["stop", "length"]}
    found = only(tmp_path, stream([100_000, 200_000, 400_000], output=6, request=asked, response=answered))
    assert found.first_token == all_at(0.2)
    assert found.per_output_token == all_at(about(0.1))  # two sequences of three tokens, side by side


@pytest.mark.parametrize("output", [None, 0, 1])
def test_fewer_than_two_tokens_have_no_time_per_token(output: int | None, tmp_path: Path) -> None:
    assert only(tmp_path, stream([100_000, 200_000], output=output)).per_output_token is None


def test_rows_are_by_operation_and_answering_model_most_called_first(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        operation(name="embeddings"),
        operation(model="alias", response={"model": "model-2"}),
        operation(model="model-2"),
    )
    assert [(row.operation, row.model, row.calls) for row in found] == [
        ("chat", "model-2", 2),
        ("embeddings", "model-1", 1),
    ]


# ── the table ──────────────────────────────────────────────────────────────────────────────────────────────────────────


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


def test_streams_that_tell_no_first_token_show_the_first_chunk_and_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = write(tmp_path / "run.jsonl", header(), stream([100_000, 200_000], first_token_us=None))
    _, out, _ = answer(capsys, recording)
    assert "100 ms*" in out
    assert "* time to first chunk: these streams do not report which chunk carried the first token." in out


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_recording_that_reached_its_limit_in_a_process_that_was_killed_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = write(tmp_path / "run.jsonl", header(), operation(), {"type": "limit", "limit_bytes": 1000})
    _, out, _ = answer(capsys, recording)
    assert "A recording reached its size limit; later operations are missing." in out


def test_a_recording_of_nothing_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = write(tmp_path / "run.jsonl", header())
    assert answer(capsys, recording) == (0, "No GenAI calls were recorded.\n", "")
    assert answer(capsys, recording, "--csv") == (0, "", "")


def test_names_cannot_command_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = write(tmp_path / "run.jsonl", header(), operation(model="\x1b[2J[red]name\ud800"))
    for arguments in ((), ("--csv",), ("--compare", recording)):
        _, out, _ = answer(capsys, recording, *arguments)
        assert "?[2J[red]name?" in "".join(out.split("\n"))


def test_several_files_are_one_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [write(tmp_path / f"{name}.jsonl", header(), operation()) for name in ("run", "run.7")]
    assert "2 calls" in answer(capsys, *files)[1]


# ── for programs ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_json_has_all_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = write(
        tmp_path / "run.jsonl", header(), stream([100_000, 200_000, 300_000], usage={"output": 2}), "no line"
    )
    status, out, _ = answer(capsys, recording, "--json")
    assert status == 0
    unknown = {"count": 0, "p50": None, "p90": None, "p95": None, "p99": None}
    assert json.loads(out) == {
        "files": [str(recording)],
        "operations": 1,
        "damaged_lines": 1,
        "left_out": 0,
        "figures": [
            {
                "operation": "chat",
                "model": "model-1",
                "calls": 1,
                "errors": 0,
                "unfinished": 0,
                "duration": {"count": 1, "p50": 0.3, "p90": 0.3, "p95": 0.3, "p99": 0.3},
                "time_to_first_token": {"count": 1, "p50": 0.2, "p90": 0.2, "p95": 0.2, "p99": 0.2},
                "time_to_first_chunk": {"count": 1, "p50": 0.1, "p90": 0.1, "p95": 0.1, "p99": 0.1},
                "inter_chunk_latency": {"count": 2, "p50": 0.1, "p90": 0.1, "p95": 0.1, "p99": 0.1},
                "inter_token_latency": {"count": 2, "p50": 0.1, "p90": 0.1, "p95": 0.1, "p99": 0.1},
                "time_per_output_token": {"count": 1, "p50": 0.1, "p90": 0.1, "p95": 0.1, "p99": 0.1},
                "input_tokens": {"count": None, "complete": None},
                "output_tokens": {"count": 2, "complete": True},
                "output_tokens_per_second": {"of_a_call": 6.666666667, "in_all": 6.666666667},
            }
        ],
    }
    recording = write(tmp_path / "run.jsonl", header(), operation())
    (row,) = json.loads(answer(capsys, recording, "--json")[1])["figures"]
    assert row["time_to_first_token"] == unknown


def test_csv_is_the_json_laid_flat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = write(
        tmp_path / "run.jsonl", header(), stream([100_000, 200_000], output=2), operation(name="embeddings")
    )
    found = list(csv.DictReader(io.StringIO(answer(capsys, recording, "--csv")[1])))
    assert [row["operation"] for row in found] == ["chat", "embeddings"]
    chat, embeddings = found
    assert list(chat)[:7] == ["operation", "model", "calls", "errors", "unfinished", "duration_count", "duration_p50"]
    assert (chat["duration_p50"], chat["output_tokens_complete"]) == ("0.2", "true")
    assert (chat["output_tokens_per_second_of_a_call"], chat["time_per_output_token_p99"]) == ("10.0", "0.0")
    assert embeddings["time_to_first_token_p50"] == ""


def test_whoever_reads_only_the_beginning_causes_no_traceback(tmp_path: Path) -> None:
    recording = write(tmp_path / "run.jsonl", header(), *(operation(model=f"model-{number}") for number in range(2000)))
    command = f"{sys.executable} -m otel_genai report --csv {recording} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("operation,model,calls")
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


# ── two recordings ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_recordings_beside_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = write(tmp_path / "a.jsonl", header(), operation(duration_us=2_000_000), operation(name="embeddings"))
    second = write(tmp_path / "b.jsonl", header(), operation(duration_us=500_000, error=ERROR))
    status, out, err = answer(capsys, "--compare", first.name, second.name)
    assert (status, err) == (0, "")
    assert [line.rstrip() for line in out.splitlines()] == [
        "chat model-1  a.jsonl  b.jsonl  ratio",
        "─────────────────────────────────────",
        "calls               1        1  1.00x",
        "errors              0        1      –",
        "duration p50   2.00 s   500 ms  0.25x",
        "duration p90   2.00 s   500 ms  0.25x",
        "duration p95   2.00 s   500 ms  0.25x",
        "duration p99   2.00 s   500 ms  0.25x",
        "",
        "embeddings model-1: only in a.jsonl",
    ]


def test_a_comparison_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write(tmp_path / "a.jsonl", header(), operation(duration_us=2_000_000))
    second = write(tmp_path / "b.jsonl", header(), operation(duration_us=500_000), operation(duration_us=500_000))
    told = json.loads(answer(capsys, "--compare", "--json", first, second)[1])
    assert (told["first"]["operations"], told["second"]["operations"]) == (1, 2)
    (pair,) = told["figures"]
    assert (pair["operation"], pair["model"]) == ("chat", ["model-1", "model-1"])
    assert pair["compared"]["calls"] == {"first": 1, "second": 2, "ratio": 2.0}
    assert pair["compared"]["duration_p99"] == {"first": 2.0, "second": 0.5, "ratio": 0.25}


def test_another_model_in_the_only_ones_place_is_compared_with_it(tmp_path: Path) -> None:
    old = rows(tmp_path, operation(model="old"), operation(model="same"), operation(name="embeddings"))
    new = rows(tmp_path, operation(model="new"), operation(model="same"))
    found = pairs(old, new)
    assert [(pair.operation, pair.models) for pair in found] == [
        ("chat", ("old", "new")),
        ("chat", ("same",)),
        ("embeddings", ("model-1",)),
    ]
    assert [one.ratio for one in compared(found[0])] == [1.0, None, 1.0, 1.0, 1.0, 1.0]


def test_where_several_models_are_left_over_none_is_compared(tmp_path: Path) -> None:
    old = rows(tmp_path, operation(model="old"), operation(model="older"))
    new = rows(tmp_path, operation(model="new"))
    assert [pair.models for pair in pairs(old, new)] == [("old",), ("older",), ("new",)]


def test_a_compared_recording_is_that_of_all_its_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.jsonl", "a.17.jsonl", "a.b.jsonl", "b.jsonl"):
        write(tmp_path / name, header(), operation())
    told = json.loads(answer(capsys, "--compare", "--json", tmp_path / "a.jsonl", tmp_path / "b.jsonl")[1])
    assert told["figures"][0]["compared"]["calls"] == {"first": 2, "second": 1, "ratio": 0.5}


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = answer(capsys, "--help")
    assert (status, err) == (0, "")
    assert "otel-genai report run*.jsonl -o report.html" in out
    assert max(map(len, out.splitlines())) <= 80


# ── wrong use ──────────────────────────────────────────────────────────────────────────────────────────────────────────


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
def test_wrong_use_is_one_line(
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
def test_a_missing_extra_is_told_by_name(missing: str, arguments: list[str], tmp_path: Path) -> None:
    recording = write(tmp_path / "run.jsonl", header(), operation())
    command = ["report", str(recording), *arguments]
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from otel_genai.cli import main; sys.exit(main({command!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    line = "otel-genai report needs the extra 'report': pip install 'otel-genai[report]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_figures_for_programs_need_no_extra(tmp_path: Path) -> None:
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


def test_the_page_and_the_table_are_made_of_the_same_lines(tmp_path: Path) -> None:
    (line,) = lines(rows(tmp_path, stream([100_000, 200_000], output=2, unfinished=True)))
    assert line.name == ("chat", "model-1", "1 call", "0 errors", "1 unfinished")
    assert {len(times) for times in line.times} == {4}
    assert len(line.tokens) == 4
