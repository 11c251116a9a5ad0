"""Become the user's script: after this, `__main__`, `sys.argv` and `sys.path` are what plain `python` would have made them.

Unlike `runpy.run_path`, `__main__` stays in place: threads that outlive the script, pickling and multiprocessing all look for it there.
"""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.abc import InspectLoader


class CannotRunError(Exception):
    """What was asked for cannot be run, and why: one sentence for the user."""


@dataclass(slots=True)
class Script:
    """A file to be run, as in `python script.py`."""

    path: str
    args: tuple[str, ...] = ()
    _source: bytes = field(default=b"", init=False)

    @property
    def name(self) -> str:
        """What the script is called: its file's name without the ending."""
        return Path(self.path).stem

    def locate(self) -> None:
        """Read the file, without running any of it; raises CannotRunError."""
        try:
            self._source = Path(self.path).read_bytes()
        except FileNotFoundError:
            raise CannotRunError(f"no such file: {self.path}") from None
        except IsADirectoryError:
            raise CannotRunError(f"is a directory, not a script: {self.path}") from None
        except (OSError, ValueError) as error:
            # ValueError: a path with a null character.
            raise CannotRunError(f"cannot read {self.path}: {getattr(error, 'strerror', None) or error}") from None

    def execute(self) -> None:
        """Run the file as `__main__`."""
        sys.argv[:] = [self.path, *self.args]
        # Links are followed for the search path, yet not for the name, as CPython does both.
        _search_first(Path(self.path).resolve().parent)
        # Joined as text, because that is what CPython does: `./app.py` keeps its dot.
        file = self.path if Path(self.path).is_absolute() else f"{Path.cwd()}{os.sep}{self.path}"
        main = _new_main(file=file, loader=SourceFileLoader("__main__", file))
        # From bytes, so that the compiler itself sees a byte-order mark and a coding cookie.
        code = compile(self._source, file, "exec", dont_inherit=True)
        exec(code, main.__dict__)  # noqa: S102 - to run the user's code is what we are for


@dataclass(slots=True)
class Module:
    """A module or package to be run, as in `python -m module`."""

    module: str
    args: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the module is called: its dotted name."""
        return self.module

    def locate(self) -> None:
        """See that the outermost package is there, without importing it; raises CannotRunError."""
        outermost, *inner = self.module.split(".")
        before = sys.path[:]
        try:
            _search_first(Path.cwd())
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
        _search_first(Path.cwd())
        spec, code = _code(self.module)
        main = _new_main(file=spec.origin, loader=spec.loader, spec=spec)
        sys.argv[0] = spec.origin or self.module
        exec(code, main.__dict__)  # noqa: S102 - to run the user's code is what we are for


Target = Script | Module


def become(target: Target) -> None:
    """Run the target in this process. Whatever it raises passes, and is shown as plain `python` would show it."""
    try:
        target.execute()
    except (SystemExit, CannotRunError):
        raise
    except BaseException:
        # Only now, so that a healthy script finds no hook of ours; around whatever hook the script has set.
        _hide_our_frames(sys.excepthook)
        raise


def _file_hint(module: str) -> str:
    return " (to run a file, leave out -m)" if module.endswith(".py") else ""


def _code(module: str) -> tuple[ModuleSpec, CodeType]:
    """The module's spec and code; importing the packages around it is the user's code, too."""
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
            return _code(f"{module}.__main__")
        except CannotRunError:
            raise CannotRunError(f"{module} is a package and has no __main__ module") from None
    code = cast("InspectLoader", spec.loader).get_code(module) if hasattr(spec.loader, "get_code") else None
    if code is None:
        raise CannotRunError(f"{module} is not written in Python, and cannot be run")
    return spec, code


def _new_main(*, file: str | None, loader: Any, spec: ModuleSpec | None = None) -> ModuleType:
    """A fresh `__main__`, with what CPython puts there, in place of our own."""
    main = ModuleType("__main__")
    main.__dict__.update(
        __builtins__=builtins,
        __file__=file,
        __cached__=spec.cached if spec else None,
        __loader__=loader,
        __package__=spec.parent if spec else None,
        __spec__=spec,
    )
    sys.modules["__main__"] = main
    return main


def _search_first(directory: Path) -> None:
    # Under `-P`, `-I` and PYTHONSAFEPATH there is no such entry, neither ours nor the script's.
    if not sys.flags.safe_path:
        sys.path[0] = str(directory)


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
