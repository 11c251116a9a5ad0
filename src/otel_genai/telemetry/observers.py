"""Whoever wants to hear of every operation that ends: recorders, summaries, and an application's own code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from otel_genai.guard import Guard

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from otel_genai.operation import Operation

Observer = Callable[["Operation", "Span"], None]

_OBSERVING: Final = Guard("an observer missed an operation")

_observers: list[Observer] = []


def observe(callback: Observer) -> Callable[[], None]:
    """Have `callback(operation, span)` called with every operation that ends, from any instrumentation of this package.

    The span has ended, and may be one that was not sampled. The callback runs where the operation ended, so it should be quick;
    what it raises is logged and goes no further.
    Returns a function that ends the observation.
    """
    _observers.append(callback)

    def stop() -> None:
        if callback in _observers:
            _observers.remove(callback)

    return stop


def notify(operation: Operation, span: Span) -> None:
    """Tell every observer of a finished operation."""
    for observer in tuple(_observers):
        with _OBSERVING:
            observer(operation, span)
