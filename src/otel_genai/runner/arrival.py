"""Instrumentation waits for the first GenAI library to arrive, so that a script that never imports one pays for none of it."""

from __future__ import annotations

import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_PREFIX: Final = "otel_genai_"


def libraries() -> frozenset[str]:
    """The libraries that can be instrumented: our entry points are named after them."""
    entry_points = distribution("otel-genai").entry_points.select(group="opentelemetry_instrumentor")
    return frozenset(entry_point.name.removeprefix(_PREFIX) for entry_point in entry_points)


def on_arrival(instrument: Callable[[], None]) -> None:
    """Call `instrument` just before the first of these libraries is imported; at once if one is there already."""
    names = libraries()
    if names & sys.modules.keys():
        instrument()
    else:
        sys.meta_path.insert(0, _Watcher(names, instrument))


class _Watcher:
    """A finder that finds nothing itself: it only sees what is looked for."""

    def __init__(self, names: frozenset[str], instrument: Callable[[], None]) -> None:
        self._names = names
        self._instrument = instrument

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  # the finders' protocol
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if name not in self._names or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        self._instrument()
        # Searched anew, because finders have come and gone: the search that asked us does not see those that came.
        return find_spec(name)
