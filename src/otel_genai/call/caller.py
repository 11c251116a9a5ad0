"""The caller of an operation in this process: an engine receives token ids, and only the code above it knows what they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_genai.call import context as call_context
from otel_genai.call.inbound import inbound_request
from otel_genai.operation import Side
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from otel_genai.call.inbound import InboundRequest
    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.endpoint.endpoint import Endpoint
    from otel_genai.operation import Request


class Caller(NamedTuple):
    """What the code above an operation says about it."""

    request: Request
    """The operation's request, with the name and the side that the caller gives it."""
    inference: str | None = None
    """`gen_ai.operation.name` of inferences inside this operation, where this operation decides it."""
    parent: Context | None = None
    """The context of the operation's parent; `None` for the current context."""
    inbound: InboundRequest | None = None
    """The inbound request that the operation stands for: the operation began when that arrived."""


def caller_of(endpoint: Endpoint, request: Request, arguments: Arguments) -> Caller:
    """The caller of an operation that begins now, in the calling code's context."""
    if request.operation not in gen_ai.INFERENCE and endpoint.state is None:
        parent = call_context.cold_start() if request.operation in otel_genai.LOADING else None
        return Caller(request, endpoint.inference(arguments), parent)
    above = call_context.current_operation()
    if above is not None and above.inference is not None:
        return Caller(request._replace(operation=above.inference))
    inbound = inbound_request()
    if inbound is not None:
        served = inbound.as_server(request)
        # One request may hold several prompts: the first operation stands for the request, the others begin when they are submitted.
        return Caller(served, None, inbound.parent, inbound) if inbound.claim() else Caller(served)
    remote = call_context.carried(endpoint.carried(arguments))
    return Caller(request) if remote is None else Caller(request._replace(side=Side.SERVER), parent=remote)
