"""The context of operations: the current operation, its suppression inside another one, its parent, and W3C headers in and out."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from opentelemetry import context, propagate, trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping
    from contextlib import AbstractContextManager

    from opentelemetry.context import Context

    from otel_genai.operation import Phase

# The API's own key of the current span. One new context with the span and our keys costs half of two.
_SPAN_KEY: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, context.Context())))
_OPERATION_KEY: Final = context.create_key("otel-genai-operation")
_ISOLATED_KEY: Final = context.create_key("otel-genai-isolated")
# Upstream's key of the current inference; its instrumentations skip inferences inside it (util-genai 1.3b0 `_inference_invocation.py`).
_UPSTREAM_KEY: Final = "opentelemetry.genai.client.inference.context"
_UPSTREAM_MODULE: Final = "opentelemetry.util.genai.invocation"

# The context of the cold start of this process, while that lasts.
_cold_start: Context | None = None

# A new thread begins with an empty context. An object that it was given leads back to the context in which the object was made.
_creation_contexts: WeakKeyDictionary[object, Context] = WeakKeyDictionary()


class CurrentOperation:
    """An operation as the code inside it sees it, with that code's reports to it."""

    __slots__ = ("extra", "inference", "kind", "phases", "served_model")

    def __init__(self, kind: str, inference: str | None = None) -> None:
        self.kind = kind
        """`Request.kind`."""
        self.inference = inference
        """`gen_ai.operation.name` of inferences inside it, where this operation decides it."""
        self.served_model: str | None = None
        """The model that answered, where only a header of the response says so."""
        self.phases: tuple[Phase, ...] = ()
        """Its phases that have ended."""
        self.extra: Mapping[str, Any] = {}
        """`Response.extra`, as far as the phases report it."""


def current_operation() -> CurrentOperation | None:
    """The operation that the calling code works for; `None` if there is none."""
    found = context.get_current().get(_OPERATION_KEY)
    return found if isinstance(found, CurrentOperation) else None


def is_wanted(kind: str) -> bool:
    """Whether an operation of this kind is to be reported in the current context.

    It is not where the user suppressed instrumentation, inside an operation of the same kind, or inside an inference of upstream's.
    """
    current = context.get_current()
    if not current:
        return True
    own = current.get(_OPERATION_KEY)
    if isinstance(own, CurrentOperation) and own.kind == kind:
        return False
    if kind in gen_ai.INFERENCE and current.get(_UPSTREAM_KEY) is not None:
        return False
    return is_instrumentation_enabled()


def note_creation(made: object) -> None:
    """Remember the current context as the one in which `made` was made. Raises TypeError for objects without weak references."""
    current = context.get_current()
    if current:
        _creation_contexts[made] = current


def creation_context(made: object) -> Context | None:
    """The context in which `made` was made; `None` if it is not known, or if the calling code has a span."""
    if made is None or trace.get_current_span().get_span_context().is_valid:
        return None
    try:
        return _creation_contexts.get(made)
    except TypeError:  # it has no hash or no weak references
        return None


def context_of(span: trace.Span, operation: CurrentOperation, parent: Context | None = None) -> Context:
    """The context of an operation: `parent` or the current one, with the span, and with the operation under our key and upstream's."""
    values = {**(parent or context.get_current()), _SPAN_KEY: span, _OPERATION_KEY: operation}
    if operation.kind in gen_ai.INFERENCE:
        # Upstream reads its key only if the value is a record of its own. A process that has not imported upstream never reads it.
        upstream = sys.modules.get(_UPSTREAM_MODULE)
        values[_UPSTREAM_KEY] = upstream.InferenceData() if upstream else True
    return context.Context(values)


def extracted(headers: Mapping[str, str]) -> Context:
    """The parent's context of an inbound request: that of a span which this process opened for it, or else that of its headers."""
    if trace.get_current_span().get_span_context().is_remote:
        # A remote span that is current is the one that the whole process was started in, and not this request's.
        return propagate.extract(headers, context.Context())
    current = context.get_current()
    return current if trace.get_current_span().get_span_context().is_valid else propagate.extract(headers, current)


def carried(headers: Mapping[str, str] | None) -> Context | None:
    """The parent's context of a request whose W3C headers its caller passed to an engine.

    `None` if the calling code has a span of its own, or if the headers name no span.
    """
    if not headers or _has_own_span():
        return None
    caller = propagate.extract(headers, context.Context())
    return caller if trace.get_current_span(caller).get_span_context().is_valid else None


def remember_cold_start() -> None:
    """Make the current context the parent of everything that this process loads."""
    global _cold_start  # noqa: PLW0603 - one a process
    _cold_start = context.get_current()


def forget_cold_start() -> None:
    """The cold start of this process is over."""
    global _cold_start  # noqa: PLW0603 - one a process
    _cold_start = None


def cold_start() -> Context | None:
    """The context of the cold start of this process; `None` if that is over, or if the calling code has a span of its own."""
    return None if _cold_start is None or _has_own_span() else _cold_start


def process_context() -> Context:
    """A context for work of the whole process: that of the trace which the process was started in, else an empty one."""
    return context.Context() if _has_own_span() else context.get_current()


def isolated() -> Context:
    """A context without any span. It holds a key: an empty context would stand for the trace that the process was started in."""
    return context.set_value(_ISOLATED_KEY, True, context.Context())


def has_inherited_parent() -> bool:
    """Whether the current span is the one that the whole process was started in."""
    return trace.get_current_span().get_span_context().is_remote


def _has_own_span() -> bool:
    current = trace.get_current_span().get_span_context()
    return current.is_valid and not current.is_remote


@contextmanager
def current(within: Context) -> Iterator[None]:
    """Attach a context for the length of a block."""
    token = context.attach(within)
    try:
        yield
    finally:
        context.detach(token)


def detached() -> AbstractContextManager[None]:
    """An empty context for the length of a block: work in it has no parent."""
    return current(context.Context())


def bound_to_context(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, to be called in the current context by whichever thread calls it."""
    within = context.get_current()

    def bound(*args: Any, **kwargs: Any) -> Any:
        with current(within):
            return function(*args, **kwargs)

    return bound if within else function


def inject(headers: MutableMapping[str, str]) -> None:
    """Add the current trace context to the headers of an outgoing request, if an operation of ours sends it.

    Headers that are there already stay: the application propagates by itself.
    """
    if current_operation() is None:
        return
    fields: dict[str, str] = {}
    propagate.inject(fields)
    for name in fields:
        if name in headers:
            return
    for name, value in fields.items():  # `update` of httpx's headers rebuilds all of them
        headers[name] = value
