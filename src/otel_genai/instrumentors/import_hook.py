"""Runs a function just before a library is imported, so that a process that never imports it pays for nothing."""

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
"""Prefix of this package's entry points; the rest of the name is the library's."""
_NO_LIBRARY: Final = f"{PREFIX}functions"


def entry_points(functions: Iterable[str]) -> dict[EntryPoint, frozenset[str]]:
    """The entry points of this package, each with the top-level modules that it waits for.

    These are the library, or the modules of `functions`, which are specified as in `OTEL_GENAI_WRAP`.
    """
    named = frozenset(function.partition(":")[0].partition(".")[0].strip() for function in functions) - {""}
    return {
        entry_point: named if entry_point.name == _NO_LIBRARY else frozenset({entry_point.name.removeprefix(PREFIX)})
        # The entry points are the one list of instrumentors: a new one is a line in pyproject.toml.
        for entry_point in distribution("otel-genai").entry_points.select(group="opentelemetry_instrumentor")
    }


def instrumentable_modules(functions: Iterable[str]) -> frozenset[str]:
    """The top-level modules that an instrumentor waits for; `functions` as in `entry_points`."""
    return frozenset().union(*entry_points(functions).values())


def before_import(names: Collection[str], act: Callable[[], None]) -> Callable[[], None] | None:
    """Call `act` just before the first of these top-level modules is imported, and now if one is imported already.

    Returns a function that stops the waiting; `None` if `act` was called.
    """
    if any(name in sys.modules for name in names):
        act()
        return None
    finder = _WaitingFinder(names, act)
    sys.meta_path.insert(0, finder)
    return finder.remove


class _WaitingFinder:
    """A finder on `sys.meta_path` that waits for a name, and then leaves the search to the other finders."""

    def __init__(self, names: Collection[str], act: Callable[[], None]) -> None:
        self._names = names
        self._act = act

    def remove(self) -> None:
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
        self.remove()
        self._act()
        return find_spec_again(name)


def find_spec_again(name: str) -> ModuleSpec | None:
    """The spec of a top-level module, for a finder that imported other modules after it was asked for this one.

    The search starts again, because those imports may have added finders that the running search does not see.
    If they imported the module itself, the spec leads to that module, which is not executed a second time.
    """
    imported = sys.modules.pop(name, None)
    return find_spec(name) if imported is None else spec_from_loader(name, _ImportedLoader(imported))


class _ImportedLoader(Loader):
    """Loads a module that is imported already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002  # the loaders' protocol
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
