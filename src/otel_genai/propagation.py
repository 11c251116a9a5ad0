"""W3C context into the requests that a library sends on behalf of an operation of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry import context, propagate

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from opentelemetry.context import Context

_OPERATION_KEY: Final = context.create_key("otel-genai-operation")


def current_operation() -> object:
    """Name of the operation of ours that the calling code runs inside of; `None` outside of any."""
    return context.get_value(_OPERATION_KEY)


def with_operation(name: str, within: Context) -> Context:
    """A context that says that an operation of ours is under way."""
    return context.set_value(_OPERATION_KEY, name, within)


def inject(headers: MutableMapping[str, str]) -> None:
    """Add the current trace context to an outgoing request of an operation of ours.

    Headers that are there already win: an application that propagates by itself knows better.
    Requests outside of an operation are none of our business.
    """
    if current_operation() is None:
        return
    fields: dict[str, str] = {}
    propagate.inject(fields)
    if not any(name in headers for name in fields):
        headers.update(fields)
