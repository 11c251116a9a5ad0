"""Phases of the current operation: the functions of a library that do a named part of it are timed."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from otel_genai.call import context as call_context
from otel_genai.guard import Guard
from otel_genai.operation import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_genai.endpoint.rows import PhaseRow
    from otel_genai.patching.driver import Driver, Scope

_READING_RESULT: Final = Guard("a span lacks attributes of one of its phases")


def phase_driver(row: PhaseRow, found: Any, scope: Scope) -> Driver:  # noqa: ARG001
    """The driver of a function that does one phase of an operation."""
    read = row.resolve()

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
        current = call_context.current_operation()
        if current is None or current.kind != row.operation:
            return wrapped(*args, **kwargs)
        started = perf_counter()
        try:
            result = wrapped(*args, **kwargs)
        finally:
            current.phases = (*current.phases, Phase(row.phase, started, perf_counter()))
        if read is not None:
            with _READING_RESULT:
                current.extra = {**current.extra, **read(result)}
        return result

    return drive
