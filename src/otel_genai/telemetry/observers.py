"""Observers: functions that receive every operation that ends. Recorders, summaries and applications register them."""

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
    """Call `callback(operation, span)` with every operation that ends, from any instrumentation of this package.

    The span has ended, and may not be sampled. The callback runs in the thread in which the operation ended, so it should be quick.
    Its errors are logged and do not propagate. Returns a function that ends the observation.
    """
    _observers.append(callback)

    def stop() -> None:
        if callback in _observers:
            _observers.remove(callback)

    return stop


def notify(operation: Operation, span: Span) -> None:
    """Call every observer with a finished operation."""
    for observer in tuple(_observers):
        with _OBSERVING:
            observer(operation, span)
