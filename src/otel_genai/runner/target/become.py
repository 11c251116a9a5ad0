"""Become the user's program: after this, `__main__`, `sys.argv` and `sys.path` are what plain `python` would have made them.

Unlike `runpy.run_path`, `__main__` stays in place: threads that outlive the script, pickling and multiprocessing all look for it there.
"""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
from contextlib import suppress
from importlib.machinery import BuiltinImporter, ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.abc import InspectLoader


class CannotRunError(Exception):
    """What was asked for cannot be run, and why: one sentence for the user."""


class EndedBySignalError(BaseException):
    """What ran as a process of its own was ended by a signal, and so should we be."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Target(Protocol):
    """What is to be run in this process."""

    @property
    def name(self) -> str:
        """What it is called, where nobody names the service."""

    def locate(self) -> None:
        """Find it, without running any of it; raises CannotRunError."""

    def execute(self) -> None:
        """Run it as `__main__`; whatever it raises passes."""


class Script:
    """A file to be run, as in `python script.py`."""

    def __init__(self, path: str, args: tuple[str, ...] = ()) -> None:
        self.path = path
        self.args = args
        self._source = b""

    @property
    def name(self) -> str:
        """What the script is called: its file's name without the ending."""
        return Path(self.path).stem

    def locate(self) -> None:
        """Read the file, without running any of it; raises CannotRunError."""
        try:
            self._source = Path(self.path).read_bytes()
        except FileNotFoundError:
            what = "file" if self.path.endswith(".py") or os.sep in self.path else "file or command"
            raise CannotRunError(f"no such {what}: {self.path}") from None
        except IsADirectoryError:
            raise CannotRunError(f"is a directory, not a script: {self.path}") from None
        except (OSError, ValueError) as error:
            # ValueError: a path with a null character.
            raise CannotRunError(f"cannot read {self.path}: {getattr(error, 'strerror', None) or error}") from None

    def execute(self) -> None:
        """Run the file as `__main__`."""
        sys.argv[:] = [self.path, *self.args]
        # Links are followed for the search path, yet not for the name, as CPython does both.
        _search_first(str(Path(self.path).resolve().parent))
        file = _from_here(self.path)
        main = _new_main(__file__=file, __cached__=None, __loader__=SourceFileLoader("__main__", file))
        # From bytes, so that the compiler itself sees a byte-order mark and a coding cookie.
        code = compile(self._source, file, "exec", dont_inherit=True)
        exec(code, main.__dict__)  # noqa: S102 - to run the user's code is what we are for


class Archive:
    """A directory or a zip file with a `__main__.py`, as in `python directory`."""

    def __init__(self, path: str, args: tuple[str, ...] = ()) -> None:
        self.path = path
        self.args = args

    @property
    def name(self) -> str:
        """What the directory or the file is called, without the ending."""
        return Path(self.path).resolve().stem

    def locate(self) -> None:
        """See that `__main__.py` is in it; raises CannotRunError."""
        # Looking into a zip file compiles what is found, and that may fail: which is the program's own failure, and comes later.
        with suppress(SyntaxError):
            self._found()

    def execute(self) -> None:
        """Run its `__main__.py`."""
        spec = self._found()
        sys.argv[:] = [self.path, *self.args]
        # The program consists of what is in there, so it is searched even under `-P`.
        _search_first(_from_here(self.path), even_if_safe=True)
        _run_found("__main__", spec)

    def _found(self) -> ModuleSpec:
        spec = PathFinder.find_spec("__main__", [_from_here(self.path)])
        if spec is None:
            raise CannotRunError(f"there is no __main__.py in {self.path}")
        return spec


class Code:
    """A program given as text, as in `python -c code`."""

    name = "python"

    def __init__(self, code: str, args: tuple[str, ...] = ()) -> None:
        self.code = code
        self.args = args

    def locate(self) -> None:
        """There is nothing to be found."""

    def execute(self) -> None:
        """Run the text as `__main__`."""
        sys.argv[:] = ["-c", *self.args]
        _search_first("")
        main = _new_main(__loader__=BuiltinImporter)
        exec(compile(self.code, "<string>", "exec", dont_inherit=True), main.__dict__)  # noqa: S102


class Module:
    """A module or package to be run, as in `python -m module`."""

    def __init__(self, module: str, args: tuple[str, ...] = ()) -> None:
        self.module = module
        self.args = args

    @property
    def name(self) -> str:
        """What the module is called: its dotted name."""
        return self.module

    def locate(self) -> None:
        """See that the outermost package is there, without importing it; raises CannotRunError."""
        outermost, *inner = self.module.split(".")
        before = sys.path[:]
        try:
            _search_first(str(Path.cwd()))
            spec = importlib.util.find_spec(outermost)
        except (OSError, ImportError, ValueError):
            # OSError: the working directory is gone. ValueError: an empty name, or a module that has no spec.
            spec = None
        finally:
            sys.path[:] = before
        if spec is None or (inner and spec.submodule_search_locations is None):
            raise CannotRunError(f"no module named {self.module}" + _file_hint(self.module))

    def execute(self) -> None:
        """Run the module as `__main__`; raises CannotRunError if it turns out that there is none."""
        # Packages around the module see this while they are imported.
        sys.argv[:] = ["-m", *self.args]
        _search_first(str(Path.cwd()))
        name, spec = _found(self.module)
        sys.argv[0] = spec.origin or self.module
        _run_found(name, spec)


def become(target: Target) -> None:
    """Run the target in this process. Whatever it raises passes, and is shown as plain `python` would show it."""
    try:
        target.execute()
    except (SystemExit, CannotRunError, EndedBySignalError):
        raise
    except BaseException:
        # Only now, so that a healthy script finds no hook of ours; around whatever hook the script has set.
        _hide_our_frames(sys.excepthook)
        raise


def _file_hint(module: str) -> str:
    return " (to run a file, leave out -m)" if module.endswith(".py") else ""


def _found(module: str) -> tuple[str, ModuleSpec]:
    """The module that is run, and its spec; importing the packages around it is the user's code, too."""
    around = module.rpartition(".")[0]
    if around:
        try:
            __import__(around)
        except ModuleNotFoundError as error:
            # Only the absence of what was asked for is ours to tell. A package that lacks something else says so itself.
            if error.name is None or not f"{around}.".startswith(f"{error.name}."):
                raise
            raise CannotRunError(f"no module named {error.name}") from None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, AttributeError, TypeError, ValueError):
        # All of these are how a module that is no package refuses to be searched.
        spec = None
    if spec is None:
        raise CannotRunError(f"no module named {module}" + _file_hint(module))
    if spec.submodule_search_locations is not None:
        if module.endswith(".__main__"):
            raise CannotRunError(f"cannot use a package as __main__: {module}")
        try:
            return _found(f"{module}.__main__")
        except CannotRunError:
            raise CannotRunError(f"{module} is a package and has no __main__ module") from None
    return module, spec


def _run_found(module: str, spec: ModuleSpec) -> None:
    """Run a module that was found as `__main__`; raises CannotRunError if there is no code in it."""
    code = cast("InspectLoader", spec.loader).get_code(module) if hasattr(spec.loader, "get_code") else None
    if code is None:
        raise CannotRunError(f"{module} is not written in Python, and cannot be run")
    main = _new_main(
        __file__=spec.origin,
        __cached__=spec.cached,
        __loader__=spec.loader,
        __package__=spec.parent,
        __spec__=spec,
    )
    exec(code, main.__dict__)  # noqa: S102 - to run the user's code is what we are for


def _new_main(**names: Any) -> ModuleType:
    """A fresh `__main__`, with what CPython puts there, in place of our own."""
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, **names)
    sys.modules["__main__"] = main
    return main


def _from_here(path: str) -> str:
    # Joined as text, because that is what CPython does: `./app.py` keeps its dot.
    return path if Path(path).is_absolute() else f"{Path.cwd()}{os.sep}{path}"


def _search_first(place: str, *, even_if_safe: bool = False) -> None:
    # Under `-P`, `-I` and PYTHONSAFEPATH there is no such entry, neither ours nor the script's.
    if not sys.flags.safe_path:
        sys.path[0] = place
    elif even_if_safe:
        sys.path.insert(0, place)


def _hide_our_frames(show: Callable[[type[BaseException], BaseException, TracebackType | None], object]) -> None:
    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        theirs = _beyond_this_file(traceback)
        show(kind, error.with_traceback(theirs), theirs)

    sys.excepthook = hook


def _beyond_this_file(traceback: TracebackType | None) -> TracebackType | None:
    theirs = entry = traceback
    while entry is not None:
        if entry.tb_frame.f_code.co_filename == __file__:
            theirs = entry.tb_next
        entry = entry.tb_next
    return theirs
