"""What travels with an operation: W3C context into the requests that a library sends for it, and word of it to the code below."""

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
    from otel_genai.server.asgi import InboundRequest

# Where the API keeps the current span in a context: to put it there together with our own marks is half the work.
_SPAN_KEY: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, context.Context())))
_UNDERWAY_KEY: Final = context.create_key("otel-genai-underway")
_ARRIVAL_KEY: Final = context.create_key("otel-genai-arrival")
_APART_KEY: Final = context.create_key("otel-genai-apart")
# Upstream's instrumentations mark an inference by a key of this name, and leave out those inside of one.
_UPSTREAM_KEY: Final = "opentelemetry.genai.client.inference.context"
_UPSTREAM_MODULE: Final = "opentelemetry.util.genai.invocation"

# Of the operation that stands for this process's start, while that lasts.
_cold_start: Context | None = None

# Threads begin with no context at all, and an object made for one is all that leads back.
_makers: WeakKeyDictionary[object, Context] = WeakKeyDictionary()


class CurrentOperation:
    """What code further down learns of the operation that it works for, and can tell it."""

    __slots__ = ("extra", "inference", "kind", "phases", "served_model")

    def __init__(self, kind: str, inference: str | None = None) -> None:
        self.kind = kind
        self.inference = inference
        """What an inference beneath it is, if only the operation itself can tell."""
        self.served_model: str | None = None
        """The model that really answered, if only a response's header told so."""
        self.phases: tuple[Phase, ...] = ()
        """The parts of it that are done."""
        self.extra: Mapping[str, Any] = {}
        """What those parts told."""


def current_operation() -> CurrentOperation | None:
    """The operation of ours that the calling code works for."""
    found = context.get_current().get(_UNDERWAY_KEY)
    return found if isinstance(found, CurrentOperation) else None


def is_wanted(kind: str) -> bool:
    """Whether an operation is to be reported here and now.

    Not where the user suppressed it, not inside one of its like, and not inside any inference that upstream reports.
    """
    current = context.get_current()
    if not current:
        return True  # nobody has said anything
    own = current.get(_UNDERWAY_KEY)
    if isinstance(own, CurrentOperation) and own.kind == kind:
        return False
    if kind in gen_ai.INFERENCE and current.get(_UPSTREAM_KEY) is not None:
        return False
    return is_instrumentation_enabled()


def note_creation(made: object) -> None:
    """Remember the calling code's context as that in which an object was made."""
    current = context.get_current()
    if current:
        _makers[made] = current


def creation_context(made: object) -> Context | None:
    """The context in which an object was made; `None` if nobody noted it, or if the calling code has a span of its own."""
    if made is None or trace.get_current_span().get_span_context().is_valid:
        return None
    try:
        return _makers.get(made)
    except TypeError:  # such an object cannot be noted: it has no hash, or no weak references
        return None


def context_of(span: trace.Span, operation: CurrentOperation, within: Context | None = None) -> Context:
    """The context of an operation: `within` or the calling code's, its span current, with word of it in our key and in upstream's."""
    marks = {**(within or context.get_current()), _SPAN_KEY: span, _UNDERWAY_KEY: operation}
    if operation.kind in gen_ai.INFERENCE:
        # Upstream heeds its key only if it holds a record of its own, and where nobody has loaded upstream nobody asks.
        upstream = sys.modules.get(_UPSTREAM_MODULE)
        marks[_UPSTREAM_KEY] = upstream.InferenceData() if upstream else True
    return context.Context(marks)


def extracted(headers: Mapping[str, str]) -> Context:
    """The context of a request that has arrived: its caller's, or that of whoever has opened a span for it in this process."""
    if trace.get_current_span().get_span_context().is_remote:
        # Not this request's: what the whole process was started within.
        return propagate.extract(headers, context.Context())
    current = context.get_current()
    return current if trace.get_current_span().get_span_context().is_valid else propagate.extract(headers, current)


def carried(headers: Mapping[str, str] | None) -> Context | None:
    """The context of a request whose headers were handed on to where it is worked on; `None` if that is known already, or from nothing."""
    if not headers:
        return None
    current = trace.get_current_span().get_span_context()
    if current.is_valid and not current.is_remote:
        return None
    caller = propagate.extract(headers, context.Context())
    return caller if trace.get_current_span(caller).get_span_context().is_valid else None


def with_inbound_request(request: InboundRequest) -> Context:
    """The context of a request that has arrived, with word of it for whatever works for it."""
    return context.set_value(_ARRIVAL_KEY, request, request.within)


def inbound_request() -> InboundRequest | None:
    """The request for which the calling code works, if it came from outside of the process."""
    request: InboundRequest | None = context.get_value(_ARRIVAL_KEY)  # type: ignore[assignment]  # only `with_inbound_request` sets it
    return request


def remember_cold_start() -> None:
    """The operation that is under way stands for the start of this process."""
    global _cold_start  # noqa: PLW0603 - one a process
    _cold_start = context.get_current()


def forget_cold_start() -> None:
    """The start of this process is over."""
    global _cold_start  # noqa: PLW0603 - one a process
    _cold_start = None


def cold_start() -> Context | None:
    """The context of the start of this process; `None` if that is over, or if the calling code has a span of its own."""
    return None if _cold_start is None or _has_own_span() else _cold_start


def process_context() -> Context:
    """A context for what this process does as a whole: that of the trace that it was started within, if it was within one."""
    return context.Context() if _has_own_span() else context.get_current()


def isolated() -> Context:
    """A context in which nothing is current, nor the trace that the whole process was started within."""
    return context.set_value(_APART_KEY, True, context.Context())


def has_inherited_parent() -> bool:
    """Whether the calling code has no span but that of the trace that the whole process was started within."""
    return trace.get_current_span().get_span_context().is_remote


def _has_own_span() -> bool:
    current = trace.get_current_span().get_span_context()
    return current.is_valid and not current.is_remote


@contextmanager
def current(within: Context) -> Iterator[None]:
    """Have a context be the current one, and put back what was."""
    token = context.attach(within)
    try:
        yield
    finally:
        context.detach(token)


def detached() -> AbstractContextManager[None]:
    """Have no span be the current one, nor anything else that is anybody's."""
    return current(context.Context())


def bound_to_context(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that another thread will call, so that it is called in the context of whoever hands it over."""
    within = context.get_current()

    def called(*args: Any, **kwargs: Any) -> Any:
        with current(within):
            return function(*args, **kwargs)

    return called if within else function


def inject(headers: MutableMapping[str, str]) -> None:
    """Add the current trace context to an outgoing request of an operation of ours.

    Headers that are there already win: an application that propagates by itself knows better.
    Requests outside of an operation are none of our business.
    """
    if current_operation() is None:
        return
    fields: dict[str, str] = {}
    propagate.inject(fields)
    for name in fields:
        if name in headers:
            return
    for name, value in fields.items():  # one by one: `update` of an HTTP client's headers makes all of them anew
        headers[name] = value
