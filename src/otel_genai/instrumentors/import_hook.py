"""Waits for a library to arrive, so that a process that never imports one pays for nothing."""

from __future__ import annotations

import sys
from importlib.abc import Loader
from importlib.metadata import distribution
from importlib.util import find_spec, spec_from_loader
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from importlib.metadata import EntryPoint
    from types import ModuleType

PREFIX: Final = "otel_genai_"
"""Of our entry points, which are otherwise called like the library."""
_NO_LIBRARY: Final = f"{PREFIX}functions"


def entry_points(functions: Iterable[str]) -> dict[EntryPoint, frozenset[str]]:
    """Our entry points, and the top-level modules that each waits for: its library, or those of the functions that the user names."""
    named = frozenset(function.partition(":")[0].partition(".")[0].strip() for function in functions) - {""}
    return {
        room: named if room.name == _NO_LIBRARY else frozenset({room.name.removeprefix(PREFIX)})
        # The entry points of this package are the one list of its instrumentors: a new one is a line in pyproject.toml.
        for room in distribution("otel-genai").entry_points.select(group="opentelemetry_instrumentor")
    }


def instrumentable_modules(functions: Iterable[str]) -> frozenset[str]:
    """The top-level modules with something to instrument."""
    return frozenset().union(*entry_points(functions).values())


def before_import(names: Collection[str], act: Callable[[], None]) -> Callable[[], None] | None:
    """Call `act` just before the first of these top-level modules is imported; at once if one is there already.

    Returns a function that ends the waiting, if there is any.
    """
    if any(name in sys.modules for name in names):
        act()
        return None
    watcher = _Watcher(names, act)
    sys.meta_path.insert(0, watcher)
    return watcher.leave


class _Watcher:
    """A finder that finds nothing itself: it only sees what is looked for."""

    def __init__(self, names: Collection[str], act: Callable[[], None]) -> None:
        self._names = names
        self._act = act

    def leave(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  # the finders' protocol
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if name not in self._names or self not in sys.meta_path:
            return None
        self.leave()
        self._act()
        return find_spec_again(name)


def find_spec_again(name: str) -> ModuleSpec | None:
    """The answer of a finder that was asked for a top-level module and has imported other things first.

    It is searched anew, because finders have come and gone, and the search that asked does not see those that came. Whoever
    imports this very module along the way has made it: then it is that, and is not made a second time.
    """
    made = sys.modules.pop(name, None)
    return find_spec(name) if made is None else spec_from_loader(name, _Made(made))


class _Made(Loader):
    """Loads a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002  # the loaders' protocol
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
