"""The drivers of `StatsRow` and `ArgumentRow`: engines report their load, and are made to keep the statistics for it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from otel_genai.endpoint.arguments import Arguments
from otel_genai.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_genai.endpoint.server_rows import ArgumentRow, StatsRow
    from otel_genai.patching.driver import Driver, Scope

_READING: Final = Guard("the metrics lack part of an engine's load")


def stats_driver(row: StatsRow, found: Any, scope: Scope) -> Driver:  # noqa: ARG001
    """The driver of a method through which an engine reports its load."""
    read, telemetry = row.resolve(), scope.telemetry

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        result = wrapped(*args, **kwargs)
        with _READING:
            stats = read(Arguments(instance, args, kwargs))
            if stats is not None:
                telemetry.report_engine(instance, stats)
        return result

    return drive


def argument_driver(row: ArgumentRow, found: Any, scope: Scope) -> Driver:  # noqa: ARG001
    """The driver of a constructor with an argument of ours. Raises ValueError if it has no such parameter."""
    position = list(inspect.signature(found).parameters).index(row.parameter) - 1  # `found` is a method

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
        if len(args) > position:
            return wrapped(*args[:position], row.value, *args[position + 1 :], **kwargs)
        return wrapped(*args, **{**kwargs, row.parameter: row.value})

    return drive
