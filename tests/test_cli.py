"""The command line answers a usage error with one line on stderr and exit status 2, and never with a traceback."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import otel_genai
from otel_genai.cli import main

if TYPE_CHECKING:
    from pathlib import Path

NO_PROGRAM = "no program given: a script, -m module, -c code, or a command (see otel-genai run --help)"


def answer(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str, str]:
    """Return exit status, stdout and stderr of the command line."""
    status: object
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "otel-genai: no command given (see otel-genai --help)"),
        (["--nonsense"], "otel-genai: unrecognized arguments: --nonsense (see otel-genai --help)"),
        (
            ["run"],
            f"otel-genai run: {NO_PROGRAM}",
        ),
        (
            ["run", "--no-summary"],
            f"otel-genai run: {NO_PROGRAM}",
        ),
        (
            ["run", "-m"],
            f"otel-genai run: {NO_PROGRAM}",
        ),
        (
            ["run", "--"],
            f"otel-genai run: {NO_PROGRAM}",
        ),
        (["run", "nosuch.py"], "otel-genai run: no such file: nosuch.py"),
        (["run", "nosuch.py", "--help"], "otel-genai run: no such file: nosuch.py"),
        (["run", "--", "--odd.py"], "otel-genai run: no such file: --odd.py"),
        (["run", "."], "otel-genai run: there is no __main__.py in ."),
        (["run", "./file.zip"], "otel-genai run: no such file: ./file.zip"),
        (["run", "nosuch-command"], "otel-genai run: no such file or command: nosuch-command"),
        (["run", "file/inner.py"], "otel-genai run: cannot read file/inner.py: Not a directory"),
        (["run", "nul\0.py"], "otel-genai run: cannot read nul\0.py: embedded null byte"),
        (["run", "-m", "nosuch"], "otel-genai run: no module named nosuch"),
        (["run", "-m", "nosuch.inner"], "otel-genai run: no module named nosuch.inner"),
        (["run", "--no-sum", "a.py"], "otel-genai run: unrecognized arguments: --no-sum (see otel-genai run --help)"),
        (["run", "--x\ny", "a.py"], "otel-genai run: unrecognized arguments: --x y (see otel-genai run --help)"),
        (
            ["simulate", "--port", "x"],
            "otel-genai simulate: argument --port: 'x' is not a port number (0 to 65535) (see otel-genai simulate --help)",
        ),
    ],
)
def test_a_usage_error_is_one_line(
    arguments: list[str],
    line: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert answer(arguments, capsys) == (2, "", f"{line}\n")


def test_the_error_of_an_unknown_command_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = answer(["rnu"], capsys)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "'rnu'" in err
    assert "run" in err
    assert "simulate" in err


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("opentelemetry.sdk", ["run", "app.py"], "run"),
        ("rich", ["run", "app.py"], "run"),
        ("starlette", ["simulate"], "simulator"),
        ("uvicorn", ["simulate"], "simulator"),
        ("prometheus_client", ["simulate"], "simulator"),
    ],
)
def test_the_error_of_a_missing_package_names_the_extra(
    missing: str, arguments: list[str], extra: str, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text("print('must not run')")
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from otel_genai.cli import main; sys.exit(main({arguments!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    line = f"otel-genai {arguments[0]} needs the extra '{extra}': pip install 'otel-genai[{extra}]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_without_a_summary_rich_is_not_needed(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('fine')")
    program = (
        "import sys; sys.modules['rich'] = None\n"
        "from otel_genai.cli import main; sys.exit(main(['run', '--no-summary', 'app.py']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["--version"], capsys) == (0, f"otel-genai {otel_genai.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (["--help"], "otel-genai run -m package.module"),
        (["run", "--help"], "otel-genai run app.py --its-own-option"),
        (["run", "-h", "app.py"], "OTEL_EXPORTER_OTLP_ENDPOINT"),
        (["simulate", "--help"], "--ttft"),
        (["fault", "--help"], "--at"),
        (["report", "--help"], "otel-genai report run.jsonl"),
    ],
)
def test_help_has_examples_and_fits_eighty_columns(
    arguments: list[str], example: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    status, out, err = answer(arguments, capsys)
    assert (status, err) == (0, "")
    assert example in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_command_line_imports_neither_sdk_nor_rich() -> None:
    program = "import sys, otel_genai.cli; print({'rich', 'opentelemetry.sdk', 'otel_genai.runner'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "set()\n"
