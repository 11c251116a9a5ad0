"""Programs of every form that `python` takes, and installed commands, run as they do without `otel-genai run`."""

from __future__ import annotations

import os
import signal
import sys
import zipapp
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import PYTHON, RUN, outcome, signalled

if TYPE_CHECKING:
    from pathlib import Path

INTROSPECTION = """\
import sys, builtins
namespace = sys.modules["__main__"].__dict__
print(namespace is globals(), __builtins__ is builtins, sorted(set(namespace) - {"namespace", "builtins", "__annotations__"}))
print(__name__, globals().get("__file__"), __package__, globals().get("__cached__"), __doc__)
print(__loader__ if isinstance(__loader__, type) else type(__loader__).__name__)
print(__spec__ and (__spec__.name, __spec__.origin))
print(sys.argv, sys.path[:2])
"""

POOL = """\
import multiprocessing, pickle, sys
class Thing:
    def __init__(self, number): self.number = number
def double(thing):
    return Thing(2 * thing.number)
if __name__ == '__main__':
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print([thing.number for thing in pool.map(double, [Thing(1), Thing(2)])])
"""

WAITING = "import time\nprint('ready', flush=True)\nwhile True:\n    time.sleep(0.01)\n"


def directory(source: str, at: Path) -> str:
    (at / "program").mkdir()
    (at / "program" / "__main__.py").write_text(source)
    return "program"


def zip_file(source: str, at: Path) -> str:
    zipapp.create_archive(directory(source, at), at / "program.pyz")
    return "program.pyz"


def executable_zip(source: str, at: Path) -> str:
    zipapp.create_archive(directory(source, at), at / "program.bin", interpreter=sys.executable, compressed=True)
    return "program.bin"


def extensionless(source: str, at: Path) -> str:
    (at / "program").write_text(source)
    return "program"


def in_a_subdirectory(source: str, at: Path) -> str:
    (at / "sub").mkdir()
    (at / "sub" / "program.py").write_text(source)
    return "sub/program.py"


FORMS = {
    "directory": directory,
    "zip file": zip_file,
    "executable zip": executable_zip,
    "extensionless": extensionless,
    "sub-directory": in_a_subdirectory,
}


@pytest.mark.parametrize("variables", [{}, {"PYTHONSAFEPATH": "1"}], ids=["usual", "safe path"])
@pytest.mark.parametrize("form", FORMS)
def test_a_program_sees_what_plain_python_shows(
    form: str, variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program = FORMS[form](INTROSPECTION, tmp_path)
    expected = outcome(PYTHON, program, "-x", "--no-summary", cwd=tmp_path, **variables)
    assert expected[0] == 0
    assert outcome(RUN, program, "-x", "--no-summary", cwd=tmp_path, **variables) == expected


@pytest.mark.parametrize("variables", [{}, {"PYTHONSAFEPATH": "1"}], ids=["usual", "safe path"])
def test_code_sees_what_plain_python_shows(variables: dict[str, str], tmp_path: Path) -> None:
    expected = outcome(PYTHON, "-c", INTROSPECTION, "-x", "--no-summary", cwd=tmp_path, **variables)
    assert expected[0] == 0
    assert outcome(RUN, "-c", INTROSPECTION, "-x", "--no-summary", cwd=tmp_path, **variables) == expected
    assert outcome(RUN, f"-c{INTROSPECTION}", "-x", "--no-summary", cwd=tmp_path, **variables) == expected


ENDINGS = {
    "returns": ("print('done')", 0),
    "exit 3": ("import sys; sys.exit(3)", 3),
    "error": ("def f():\n    raise ValueError('bad')\nf()", 1),
    "interrupt": ("raise KeyboardInterrupt", None),
    "syntax error": ("def (:\n", 1),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("form", FORMS)
def test_a_program_ends_as_under_plain_python(
    form: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source, status = ENDINGS[ending]
    program = FORMS[form](source, tmp_path)
    expected = outcome(PYTHON, program, cwd=tmp_path)
    if status is None:
        # Plain python exits with 1 if it finds the program itself.
        assert outcome(RUN, program, cwd=tmp_path)[0] == -signal.SIGINT
        return
    assert expected[0] == status
    found = outcome(RUN, program, cwd=tmp_path)
    assert found[:2] == expected[:2]
    # Python runs directories through `runpy`, whose frames are missing here. No other frames are added.
    assert [line for line in found[2].splitlines() if line not in expected[2].splitlines()] == []


@pytest.mark.parametrize("ending", ["returns", "exit 3", "error", "interrupt", "syntax error"])
def test_code_ends_as_under_plain_python(ending: str, tmp_path: Path) -> None:
    expected = outcome(PYTHON, "-c", ENDINGS[ending][0], cwd=tmp_path)
    assert outcome(RUN, "-c", ENDINGS[ending][0], cwd=tmp_path) == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("form", ["directory", "zip file", "code"])
def test_a_signal_kills_as_under_plain_python(
    form: str, number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Background jobs of a shell ignore SIGINT, and so do their children.
    source = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n" + WAITING
    program = ("-c", source) if form == "code" else (FORMS[form](source, tmp_path),)
    status, out, _ = signalled(RUN, *program, number=number, cwd=tmp_path)
    assert (status, out) == (-number, "")


@pytest.mark.parametrize("start", ["spawn", "forkserver", "fork"])
@pytest.mark.parametrize("form", ["extensionless", "sub-directory"])
def test_workers_find_classes_of_the_program(
    form: str, start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program = FORMS[form](POOL, tmp_path)
    # Workers of plain python find a program without `.py` only if they are forks.
    expected = outcome(PYTHON, program, start, cwd=tmp_path) if form == "sub-directory" else (0, "[2, 4]\n", "")
    assert outcome(RUN, program, start, cwd=tmp_path) == expected == (0, "[2, 4]\n", "")


# ── commands ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """Return a folder of commands, for PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def command(source: str, at: Path) -> None:
    at.write_text(source)
    at.chmod(0o755)


def on_path(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize(
    "first_lines",
    ["#!{python}\n", "#!/bin/sh\n'''exec' {python} \"$0\" \"$@\"\n' '''\n", "#!/usr/bin/env {python}\n"],
    ids=["shebang", "long shebang", "env"],
)
def test_a_command_in_python_is_run_in_this_process(first_lines: str, commands: Path, tmp_path: Path) -> None:
    command(
        first_lines.format(python=sys.executable) + "import os, sys\nprint(sys.argv, sys.path[0], os.getppid())\n",
        commands / "tool",
    )
    status, out, err = outcome(RUN, "tool", "--no-summary", "x", cwd=tmp_path, **on_path(commands))
    assert (status, err) == (0, "")
    # The parent is the test: the command has no process of its own.
    assert out == f"{[f'{commands}/tool', '--no-summary', 'x']} {commands} {os.getpid()}\n"


def test_a_command_that_is_installed_beside_the_interpreter_needs_no_path(tmp_path: Path) -> None:
    status, out, _ = outcome(RUN, "pytest", "--version", cwd=tmp_path, PATH="/nowhere")
    assert (status, out) == (0, f"pytest {pytest.__version__}\n")


def test_a_folder_of_the_same_name_does_not_hide_a_command(commands: Path, tmp_path: Path) -> None:
    command(f"#!{sys.executable}\nprint('the command')\n", commands / "tool")
    (tmp_path / "tool").mkdir()
    assert outcome(RUN, "tool", cwd=tmp_path, **on_path(commands)) == (0, "the command\n", "")


@pytest.mark.parametrize(
    ("source", "status", "out"),
    [
        ("#!/bin/sh\necho $0 $1; exit 3\n", 3, "{path} x\n"),
        ("#!/bin/sh\nkill -9 $$\n", -9, ""),
        ("#!/bin/sh\nkill -15 $$\n", -15, ""),
        ("#!/bin/sh\nkill -2 $$\n", -2, ""),
    ],
    ids=["exit", "SIGKILL", "SIGTERM", "SIGINT"],
)
def test_another_command_runs_as_a_subprocess_and_the_run_ends_as_it_ends(
    source: str, status: int, out: str, commands: Path, tmp_path: Path
) -> None:
    command(source, commands / "tool")
    expected = (status, out.format(path=commands / "tool"), "")
    assert outcome(RUN, "tool", "x", cwd=tmp_path, **on_path(commands)) == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on_to_another_command(number: signal.Signals, commands: Path, tmp_path: Path) -> None:
    command(
        f"#!/bin/sh\ntrap 'echo caught; exit 7' {number.name.removeprefix('SIG')}\necho ready\nwhile :; do sleep 0.01; done\n",
        commands / "tool",
    )
    assert signalled(RUN, "tool", number=number, cwd=tmp_path, **on_path(commands)) == (7, "caught\n", "")


def test_python_itself_is_a_command_whose_program_is_instrumented(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import openai, sys\nprint('otel_genai.instrumentors' in sys.modules)")
    assert outcome(RUN, "python", "-B", "app.py", cwd=tmp_path) == (0, "True\n", "")
    assert outcome((*RUN, "--no-children"), "python", "-B", "app.py", cwd=tmp_path) == (0, "False\n", "")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nosuch", "no such file or command: nosuch"),
        ("./nosuch", "no such file: ./nosuch"),
        ("empty", "there is no __main__.py in empty"),
        ("tool", "cannot run {commands}/tool: No such file or directory"),
    ],
)
def test_a_program_that_cannot_be_run_is_one_line(name: str, sentence: str, commands: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command("#!/no/such/interpreter\n", commands / "tool")
    expected = (2, "", f"otel-genai run: {sentence.format(commands=commands)}\n")
    # With a summary, which is not printed: nothing has run.
    assert outcome(RUN[:-1], name, cwd=tmp_path, **on_path(commands)) == expected
