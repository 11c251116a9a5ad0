"""The parts of an operation that are worth a time of their own: noted on the operation that is under way."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from otel_genai.call import context as call_context
from otel_genai.guard import Guard
from otel_genai.operation import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_genai.endpoint.rows import PhaseRow
    from otel_genai.patching.drivers import Driver

_NOTING: Final = Guard("a span lacks what a part of its work told")


def noting(stage: PhaseRow) -> Driver:
    """For functions that do a part of an operation."""
    read = stage.load()

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
        underway = call_context.current_operation()
        if underway is None or underway.kind != stage.of:
            return wrapped(*args, **kwargs)
        started = perf_counter()
        try:
            result = wrapped(*args, **kwargs)
        finally:
            underway.phases = (*underway.phases, Phase(stage.phase, started, perf_counter()))
        with _NOTING:
            underway.extra = {**underway.extra, **read(result)}
        return result

    return drive
