"""The inbound request: a request that came to this process from outside, and the context in which the application serves it."""

from __future__ import annotations

from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Final

from opentelemetry import context

from otel_genai.operation import Side

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from otel_genai.operation import Request

_KEY: Final = context.create_key("otel-genai-inbound-request")


class InboundRequest:
    """A request from outside of the process. The first operation that works on it stands for it."""

    __slots__ = ("_claimed", "_operation", "began_ns", "parent", "started")

    def __init__(self, operation: str, parent: Context) -> None:
        """`operation` is the `gen_ai.operation.name` of requests to this path; `parent` is the caller's context."""
        self.began_ns = time_ns()
        """When it arrived: wall clock, nanoseconds since the epoch."""
        self.started = perf_counter()
        """The same moment on the clock of `Timing`, seconds."""
        self.parent = parent
        self._operation = operation
        self._claimed = False

    def claim(self) -> bool:
        """Let an operation stand for this request. False if another one does already."""
        claimed, self._claimed = self._claimed, True
        return not claimed

    @property
    def is_claimed(self) -> bool:
        """Whether an operation stands for this request."""
        return self._claimed

    def as_server(self, request: Request) -> Request:
        """The request of an inference in this process, reported as the request that came from outside."""
        return request._replace(operation=self._operation, side=Side.SERVER)


def with_inbound_request(request: InboundRequest) -> Context:
    """The context in which the application serves `request`: its parent's, and `inbound_request` returns it there."""
    return context.set_value(_KEY, request, request.parent)


def inbound_request() -> InboundRequest | None:
    """The inbound request that the calling code serves; `None` outside of one."""
    request: InboundRequest | None = context.get_value(_KEY)  # type: ignore[assignment]  # only `with_inbound_request` sets it
    return request
