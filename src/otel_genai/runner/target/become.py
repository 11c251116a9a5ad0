"""Becomes the user's program: `__main__`, `sys.argv` and `sys.path` are as plain `python` makes them.

Unlike with `runpy.run_path`, `__main__` stays in place: threads that outlive the script, pickling and multiprocessing look for it there.
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

from otel_genai.runner.errors import CannotRunError, EndedBySignalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.abc import InspectLoader


class Target(Protocol):
    """A program that a run can become."""

    @property
    def name(self) -> str:
        """The default of `service.name`."""

    def locate(self) -> None:
        """Find the program without running any of its code; raises CannotRunError."""

    def execute(self) -> None:
        """Run the program as `__main__`; its exceptions pass."""


class Script:
    """A file, as in `python script.py`."""

    def __init__(self, path: str, args: tuple[str, ...] = ()) -> None:
        self.path = path
        self.args = args
        self._source = b""

    @property
    def name(self) -> str:
        """The name of the file, without its suffix."""
        return Path(self.path).stem

    def locate(self) -> None:
        """Read the file; raises CannotRunError if it cannot be read."""
        try:
            self._source = Path(self.path).read_bytes()
        except FileNotFoundError:
            kind = "file" if self.path.endswith(".py") or os.sep in self.path else "file or command"
            raise CannotRunError(f"no such {kind}: {self.path}") from None
        except IsADirectoryError:
            raise CannotRunError(f"is a directory, not a script: {self.path}") from None
        except (OSError, ValueError) as error:
            # ValueError: a path with a null character.
            raise CannotRunError(f"cannot read {self.path}: {getattr(error, 'strerror', None) or error}") from None

    def execute(self) -> None:
        """Run the file as `__main__`."""
        sys.argv[:] = [self.path, *self.args]
        # As in CPython, links are followed for the search path, yet not for the name.
        _put_on_search_path(str(Path(self.path).resolve().parent))
        file = _absolute(self.path)
        main = _new_main(__file__=file, __cached__=None, __loader__=SourceFileLoader("__main__", file))
        # From bytes, so that the compiler sees a byte-order mark and a coding cookie.
        code = compile(self._source, file, "exec", dont_inherit=True)
        exec(code, main.__dict__)  # noqa: S102 - the user's own program


class Archive:
    """A directory or a zip file with a `__main__.py`, as in `python directory`."""

    def __init__(self, path: str, args: tuple[str, ...] = ()) -> None:
        self.path = path
        self.args = args

    @property
    def name(self) -> str:
        """The name of the directory or file, without its suffix."""
        return Path(self.path).resolve().stem

    def locate(self) -> None:
        """Find `__main__.py` in it; raises CannotRunError."""
        # The search in a zip file compiles the module. A syntax error is the program's own, and comes later.
        with suppress(SyntaxError):
            self._find()

    def execute(self) -> None:
        """Run its `__main__.py`."""
        spec = self._find()
        sys.argv[:] = [self.path, *self.args]
        # The program is in there, so it is on the search path even under `-P`.
        _put_on_search_path(_absolute(self.path), even_if_safe=True)
        _run_module("__main__", spec)

    def _find(self) -> ModuleSpec:
        spec = PathFinder.find_spec("__main__", [_absolute(self.path)])
        if spec is None:
            raise CannotRunError(f"there is no __main__.py in {self.path}")
        return spec


class Code:
    """A program as text, as in `python -c code`."""

    name = "python"

    def __init__(self, code: str, args: tuple[str, ...] = ()) -> None:
        self.code = code
        self.args = args

    def locate(self) -> None:
        """Do nothing: the program is at hand."""

    def execute(self) -> None:
        """Run the text as `__main__`."""
        sys.argv[:] = ["-c", *self.args]
        _put_on_search_path("")
        main = _new_main(__loader__=BuiltinImporter)
        exec(compile(self.code, "<string>", "exec", dont_inherit=True), main.__dict__)  # noqa: S102


class Module:
    """A module or package, as in `python -m module`."""

    def __init__(self, module: str, args: tuple[str, ...] = ()) -> None:
        self.module = module
        self.args = args

    @property
    def name(self) -> str:
        """The dotted name of the module."""
        return self.module

    def locate(self) -> None:
        """Find the outermost package without importing it; raises CannotRunError."""
        outermost, *inner = self.module.split(".")
        before = sys.path[:]
        try:
            _put_on_search_path(str(Path.cwd()))
            spec = importlib.util.find_spec(outermost)
        except (OSError, ImportError, ValueError):
            # OSError: the working directory is gone. ValueError: an empty name, or a module without a spec.
            spec = None
        finally:
            sys.path[:] = before
        if spec is None or (inner and spec.submodule_search_locations is None):
            raise CannotRunError(f"no module named {self.module}" + _file_hint(self.module))

    def execute(self) -> None:
        """Run the module as `__main__`; raises CannotRunError if its package has no such module."""
        # The packages that contain the module see this while they are imported.
        sys.argv[:] = ["-m", *self.args]
        _put_on_search_path(str(Path.cwd()))
        name, spec = _find_module(self.module)
        sys.argv[0] = spec.origin or self.module
        _run_module(name, spec)


def become(target: Target) -> None:
    """Run the target in this process. Its exceptions pass, and are shown as plain `python` shows them."""
    try:
        target.execute()
    except (SystemExit, CannotRunError, EndedBySignalError):
        raise
    except BaseException:
        # After the fact, so that a script without errors finds its own hook only; and around a hook that it has set.
        _hide_frames_of_this_file(sys.excepthook)
        raise


def _file_hint(module: str) -> str:
    return " (to run a file, leave out -m)" if module.endswith(".py") else ""


def _find_module(module: str) -> tuple[str, ModuleSpec]:
    """Return the name and the spec of the module to be run. This imports the package that contains it: the user's code."""
    package = module.rpartition(".")[0]
    if package:
        try:
            __import__(package)
        except ModuleNotFoundError as error:
            # Another missing module is an error of the program, with a traceback.
            if error.name is None or not f"{package}.".startswith(f"{error.name}."):
                raise
            raise CannotRunError(f"no module named {error.name}") from None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, AttributeError, TypeError, ValueError):
        # A module that is no package raises any of these.
        spec = None
    if spec is None:
        raise CannotRunError(f"no module named {module}" + _file_hint(module))
    if spec.submodule_search_locations is not None:
        if module.endswith(".__main__"):
            raise CannotRunError(f"cannot use a package as __main__: {module}")
        try:
            return _find_module(f"{module}.__main__")
        except CannotRunError:
            raise CannotRunError(f"{module} is a package and has no __main__ module") from None
    return module, spec


def _run_module(module: str, spec: ModuleSpec) -> None:
    """Run a module as `__main__`; raises CannotRunError if it has no Python code."""
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
    exec(code, main.__dict__)  # noqa: S102 - the user's own program


def _new_main(**names: Any) -> ModuleType:
    """Put a new `__main__` in place, with these names beside CPython's."""
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, **names)
    sys.modules["__main__"] = main
    return main


def _absolute(path: str) -> str:
    # Joined as text, as CPython does: `./app.py` keeps its dot.
    return path if Path(path).is_absolute() else f"{Path.cwd()}{os.sep}{path}"


def _put_on_search_path(folder: str, *, even_if_safe: bool = False) -> None:
    # Under `-P`, `-I` and PYTHONSAFEPATH, neither this command nor a script has such an entry.
    if not sys.flags.safe_path:
        sys.path[0] = folder
    elif even_if_safe:
        sys.path.insert(0, folder)


def _hide_frames_of_this_file(
    show: Callable[[type[BaseException], BaseException, TracebackType | None], object],
) -> None:
    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        shortened = _after_this_file(traceback)
        show(kind, error.with_traceback(shortened), shortened)

    sys.excepthook = hook


def _after_this_file(traceback: TracebackType | None) -> TracebackType | None:
    """Return the traceback without the frames up to the last one of this file."""
    shortened = entry = traceback
    while entry is not None:
        if entry.tb_frame.f_code.co_filename == __file__:
            shortened = entry.tb_next
        entry = entry.tb_next
    return shortened
