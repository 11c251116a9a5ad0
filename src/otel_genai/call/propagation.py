"""What travels with an operation: W3C context into the requests that a library sends for it, and word of it to the code below."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from opentelemetry import context, propagate

from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from opentelemetry.context import Context

_UNDERWAY_KEY: Final = context.create_key("otel-genai-underway")
# Upstream's instrumentations mark an inference by a key of this name, and leave out those inside of one.
_UPSTREAM_KEY: Final = "opentelemetry.genai.client.inference.context"
_UPSTREAM_MODULE: Final = "opentelemetry.util.genai.invocation"


class Underway:
    """What code further down learns of the operation that it works for, and can tell it."""

    __slots__ = ("operation", "served_model")

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.served_model: str | None = None
        """The model that really answered, if only a response's header told so."""


def underway() -> Underway | None:
    """The operation of ours that the calling code works for."""
    found = context.get_value(_UNDERWAY_KEY)
    return found if isinstance(found, Underway) else None


def is_underway(operation: str) -> bool:
    """Whether the calling code is inside an operation of this name, or inside any inference that upstream reports."""
    own = underway()
    if own is not None and own.operation == operation:
        return True
    return operation in gen_ai.INFERENCE and context.get_value(_UPSTREAM_KEY) is not None


def with_underway(underway: Underway, within: Context) -> Context:
    """A context that says that an operation is under way, in our word and in upstream's."""
    marked = context.set_value(_UNDERWAY_KEY, underway, within)
    if underway.operation not in gen_ai.INFERENCE:
        return marked
    # Upstream heeds its key only if it holds a record of its own, and where nobody has loaded upstream nobody asks.
    upstream = sys.modules.get(_UPSTREAM_MODULE)
    return context.set_value(_UPSTREAM_KEY, upstream.InferenceData() if upstream else True, marked)


def inject(headers: MutableMapping[str, str]) -> None:
    """Add the current trace context to an outgoing request of an operation of ours.

    Headers that are there already win: an application that propagates by itself knows better.
    Requests outside of an operation are none of our business.
    """
    if underway() is None:
        return
    fields: dict[str, str] = {}
    propagate.inject(fields)
    if not any(name in headers for name in fields):
        headers.update(fields)
