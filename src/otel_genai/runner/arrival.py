"""Instrumentation waits for the first GenAI library to arrive, so that a script that never imports one pays for none of it."""

from __future__ import annotations

import os
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

PREFIX: Final = "otel_genai_"
"""Of our entry points, which are otherwise called like the library."""


def waited_for() -> frozenset[str]:
    """The top-level modules with something to instrument: our entry points are named after them, and the user may choose more."""
    entry_points = distribution("otel-genai").entry_points.select(group="opentelemetry_instrumentor")
    chosen = os.environ.get("OTEL_GENAI_WRAP", "").split(",")
    modules = {function.partition(":")[0].partition(".")[0].strip() for function in chosen} - {""}
    return frozenset(modules | {entry_point.name.removeprefix(PREFIX) for entry_point in entry_points})


def on_arrival(names: frozenset[str], instrument: Callable[[], None]) -> None:
    """Call `instrument` just before the first of these top-level modules is imported; at once if one is there already."""
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
