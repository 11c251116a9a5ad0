"""The drivers of `ContextRow`: the context moves with work to another thread or task, or stays behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.call import context as call_context
from otel_genai.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_genai.endpoint.rows import ContextRow
    from otel_genai.patching.driver import Driver, Scope

_MOVING: Final = Guard("a call in another thread is a trace of its own")


def context_driver(row: ContextRow, found: Any, scope: Scope) -> Driver:  # noqa: ARG001
    """The driver of the row's policy."""
    return {"capture": _capture, "carry": _carry, "detach": _detach}[row.policy]


def _capture(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    result = wrapped(*args, **kwargs)
    with _MOVING:
        call_context.note_creation(instance)
    return result


def _carry(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
    with _MOVING:
        if args:
            args = (call_context.bound_to_context(args[0]), *args[1:])
    return wrapped(*args, **kwargs)


def _detach(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
    with call_context.detached():
        return wrapped(*args, **kwargs)
