"""A script runs as under plain `python`: with the same globals, the same exit status and the same output on stderr."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import ENVIRONMENT, PYTHON, RUN, RUN_AS_MODULE, outcome, signalled

if TYPE_CHECKING:
    from pathlib import Path


# ── the end of the script ──────────────────────────────────────────────────────────────────────────────────────────────

ENDINGS = {
    "returns": ("print('done')", 0),
    "exit 3": ("import sys; sys.exit(3)", 3),
    "exit message": ("import sys; sys.exit('no luck')", 1),
    "exit none": ("raise SystemExit", 0),
    "error": ("def f():\n    raise ValueError('bad')\nf()", 1),
    "chained": ("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e", 1),
    "nested": ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    int('x')", 1),
    "group": ("raise ExceptionGroup('two', [ValueError(1), TypeError(2)])", 1),
    "syntax error": ("print(1)\ndef (:\n", 1),
    "missing import": ("import no_such_library_anywhere", 1),
    "own import error": ("raise ImportError('mine')", 1),
    "interrupt": ("raise KeyboardInterrupt", -2),
    "hard exit": ("import os; os._exit(7)", 7),
    "own hook": ("import sys, traceback\nsys.excepthook = lambda k, e, t: traceback.print_tb(t)\n1 / 0", 1),
    "own hook by value": (
        "import sys, traceback\nsys.excepthook = lambda k, e, t: traceback.print_exception(e)\n1 / 0",
        1,
    ),
    "bare traceback": ("e = ValueError('x')\nraise e.with_traceback(None)", 1),
}


@pytest.mark.parametrize("launcher", [RUN, RUN_AS_MODULE], ids=["script", "module"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_script_ends_as_under_plain_python(ending: str, launcher: tuple[str, ...], tmp_path: Path) -> None:
    source, status = ENDINGS[ending]
    (tmp_path / "app.py").write_text(source)
    expected = outcome(PYTHON, "app.py", cwd=tmp_path)
    assert expected[0] == status
    if ending == "interrupt" and launcher is RUN_AS_MODULE:
        # `python -m app` has another exit status than `python app.py`.
        expected = outcome((sys.executable, "-m"), "app", cwd=tmp_path)[0], *expected[1:]
    assert outcome(launcher, "app.py", cwd=tmp_path) == expected


# Short sleeps: a Python handler of a signal that comes just before a long one runs after it.
WAITING = "import time\nprint('ready', flush=True)\nwhile True:\n    time.sleep(0.01)\n"


@pytest.mark.parametrize("launcher", [PYTHON, RUN], ids=["plain", "ours"])
def test_ctrl_c_kills_as_under_plain_python(launcher: tuple[str, ...], tmp_path: Path) -> None:
    # Background jobs of a shell ignore SIGINT, and so do their children.
    (tmp_path / "app.py").write_text(
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n" + WAITING
    )
    status, out, err = signalled(launcher, "app.py", number=signal.SIGINT, cwd=tmp_path)
    assert (status, out) == (-signal.SIGINT, "")
    assert err.count('  File "') == 1
    assert err.endswith("\nKeyboardInterrupt\n")


@pytest.mark.parametrize("launcher", [PYTHON, RUN], ids=["plain", "ours"])
def test_sigterm_kills_as_under_plain_python(launcher: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(WAITING)
    assert signalled(launcher, "app.py", number=signal.SIGTERM, cwd=tmp_path) == (-signal.SIGTERM, "", "")


def test_a_sigterm_handler_of_the_script_wins(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n" + WAITING
    )
    assert signalled(RUN, "app.py", number=signal.SIGTERM, cwd=tmp_path) == (9, "", "")


def test_an_ignored_sigterm_stays_ignored(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import signal; print(signal.getsignal(signal.SIGTERM))")
    ignoring = (
        sys.executable,
        "-c",
        "import os, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])",
    )
    assert outcome((*ignoring, *RUN), "app.py", cwd=tmp_path) == (0, f"{signal.SIG_IGN}\n", "")


def test_a_fork_has_the_default_sigterm(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import os, signal\n"
        "if os.fork() == 0:\n"
        "    print(signal.getsignal(signal.SIGTERM), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    assert outcome(RUN, "app.py", cwd=tmp_path) == (0, f"{signal.SIG_DFL}\n", "")


# ── the surroundings of the script ─────────────────────────────────────────────────────────────────────────────────────

INTROSPECTION = """\
from __future__ import annotations
import sys, builtins
namespace = sys.modules["__main__"].__dict__
print(namespace is globals(), __builtins__ is builtins)
print(__name__, __file__, __package__, __cached__, __doc__)
print(type(__loader__).__name__, __loader__.name, getattr(__loader__, "path", None))
print(__spec__ and (__spec__.name, __spec__.origin))
print(sys.argv, sys.path[:2])
print(sys.excepthook is sys.__excepthook__, sys.flags.safe_path)
print(annotations.compiler_flag & sys._getframe().f_code.co_flags != 0)
"""


@pytest.mark.parametrize("variables", [{}, {"PYTHONSAFEPATH": "1"}], ids=["usual", "safe path"])
@pytest.mark.parametrize("path", ["app.py", "./app.py", "sub/../app.py", "link.py", "sub/inner.py"])
def test_a_script_sees_what_plain_python_shows(path: str, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    for file in ("app.py", "sub/inner.py", "sub/deep/real.py"):
        (tmp_path / file).write_text(INTROSPECTION)
    (tmp_path / "link.py").symlink_to("sub/deep/real.py")
    expected = outcome(PYTHON, path, "--no-summary", "-m", "--", "x", cwd=tmp_path, **variables)
    assert expected[0] == 0
    assert outcome(RUN, path, "--no-summary", "-m", "--", "x", cwd=tmp_path, **variables) == expected


@pytest.mark.parametrize("module", ["app", "package", "package.inner", "package.sub"])
def test_a_module_sees_what_plain_python_shows(module: str, tmp_path: Path) -> None:
    (tmp_path / "package" / "sub").mkdir(parents=True)
    for file in ("app", "package/__main__", "package/inner", "package/sub/__main__"):
        (tmp_path / f"{file}.py").write_text(INTROSPECTION)
    for package in ("package", "package/sub"):
        (tmp_path / package / "__init__.py").write_text("import sys; print(sys.argv)")
    expected = outcome(PYTHON, "-m", module, "--no-summary", "-m", "x", cwd=tmp_path)
    assert expected[0] == 0
    assert outcome(RUN, "-m", module, "--no-summary", "-m", "x", cwd=tmp_path) == expected
    assert outcome(RUN, f"-m{module}", "--no-summary", "-m", "x", cwd=tmp_path) == expected


@pytest.mark.parametrize(
    "source",
    [
        b"# -*- coding: latin-1 -*-\nprint(ascii('\xe9'))\n",
        b"\xef\xbb\xbfprint(ascii('\xc3\xa9'))\n",
        b"print('carriage')\r\nprint('return')\r\n",
    ],
    ids=["coding cookie", "byte-order mark", "line ends"],
)
def test_source_is_decoded_as_python_does(source: bytes, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_bytes(source)
    expected = outcome(PYTHON, "app.py", cwd=tmp_path)
    assert expected[0] == 0
    assert outcome(RUN, "app.py", cwd=tmp_path) == expected


@pytest.mark.parametrize("start", ["spawn", "fork", "forkserver"])
def test_multiprocessing_finds_functions_of_the_script(start: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import multiprocessing, sys\n"
        "def double(x):\n"
        "    return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:\n"
        "        print(pool.map(double, [1, 2, 3]))\n"
    )
    assert outcome(RUN, "app.py", start, cwd=tmp_path) == (0, "[2, 4, 6]\n", "")


def test_multiprocessing_finds_functions_of_a_module(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "app.py").write_text(
        "import multiprocessing\n"
        "def double(x):\n"
        "    return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(2) as pool:\n"
        "        print(pool.map(double, [1, 2, 3]))\n"
    )
    assert outcome(RUN, "-m", "package.app", cwd=tmp_path) == (0, "[2, 4, 6]\n", "")


def test_main_outlives_the_script_for_its_threads(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import pickle, sys, threading\n"
        "class Thing: pass\n"
        "def later():\n"
        "    threading.main_thread().join()\n"
        "    print(type(pickle.loads(pickle.dumps(Thing()))) is Thing, sys.modules['__main__'].Thing is Thing)\n"
        "threading.Thread(target=later).start()\n"
    )
    assert outcome(RUN, "app.py", cwd=tmp_path) == (0, "True True\n", "")


def test_without_children_the_environment_is_unchanged(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import os; print(sorted(os.environ.items()))")
    variables = {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://127.0.0.1:9/v1/logs"}
    expected = outcome(PYTHON, "app.py", cwd=tmp_path, **variables)
    assert outcome((*RUN, "--no-children"), "app.py", cwd=tmp_path, **variables) == expected


@pytest.mark.parametrize("variables", [{}, {"PYTHONPATH": "theirs"}], ids=["empty path", "a path"])
def test_the_environment_has_two_more_variables_for_children(variables: dict[str, str], tmp_path: Path) -> None:
    source = (
        "import os, sys\n"
        "ours = os.environ.pop('OTEL_GENAI_RUN'), os.environ.pop('PYTHONPATH')\n"
        "print(sorted(os.environ.items()), [place.rpartition('/')[2] for place in ours[1].split(os.pathsep)])\n"
        "print(any('on_path' in place for place in sys.path))\n"
    )
    (tmp_path / "app.py").write_text(source)
    status, out, err = outcome(RUN, "app.py", cwd=tmp_path, **variables)
    assert (status, err) == (0, "")
    assert out == f"{sorted(ENVIRONMENT.items())} {['on_path', *variables.values()]}\nFalse\n"


def test_a_file_beside_the_script_does_not_hide_a_library_of_the_runner(tmp_path: Path) -> None:
    for name in ("rich", "requests", "wrapt", "opentelemetry"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "app.py").write_text("print('fine')")
    assert outcome(RUN, "app.py", cwd=tmp_path) == (0, "fine\n", "")
    assert outcome(RUN, "-m", "app", cwd=tmp_path) == (0, "fine\n", "")


# ── modules that cannot be run ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ("nosuch", "no module named nosuch"),
        ("nosuch.inner", "no module named nosuch.inner"),
        ("package.nosuch", "no module named package.nosuch"),
        ("package.nosuch.inner", "no module named package.nosuch"),
        ("app.py", "no module named app.py (to run a file, leave out -m)"),
        ("app.inner", "no module named app.inner"),
        ("package", "package is a package and has no __main__ module"),
        ("sys", "sys is not written in Python, and cannot be run"),
        ("", "no module named"),
        ("..", "no module named .."),
    ],
)
def test_a_module_that_cannot_be_run_is_one_line(module: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "app.py").write_text("print('must not run')")
    # With a summary, which is not printed: nothing has run.
    launcher = (*RUN[:-1], "-m")
    assert outcome(launcher, module, cwd=tmp_path) == (2, "", f"otel-genai run: {sentence}\n")


@pytest.mark.parametrize("module", ["lacking", "package.inner", "package"])
def test_a_failing_import_of_a_module_is_its_own_traceback(module: str, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    for file in ("lacking.py", "package/__init__.py", "package/inner.py", "package/__main__.py"):
        (tmp_path / file).write_text("import nosuch\n")
    status, out, err = outcome(RUN, "-m", module, cwd=tmp_path)
    assert (status, out) == (1, "")
    # Plain `python -m` shows the frames of `runpy`, too; this process has none.
    assert err == (
        "Traceback (most recent call last):\n"
        f'  File "{tmp_path / ("package/__init__.py" if module != "lacking" else "lacking.py")}", line 1, in <module>\n'
        "    import nosuch\n"
        "ModuleNotFoundError: No module named 'nosuch'\n"
    )
