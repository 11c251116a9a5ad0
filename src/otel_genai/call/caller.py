"""What an operation in this very process is for, and whose it is: an engine is given token ids, and the rest is known further up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from otel_genai.call import context as call_context
from otel_genai.operation import Side
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from otel_genai.endpoint.endpoint import Arguments, Endpoint
    from otel_genai.operation import Request
    from otel_genai.server.asgi import InboundRequest


class Caller(NamedTuple):
    """Why an operation is done."""

    request: Request
    inference: str | None = None
    """What an inference beneath this operation is, if it is this one that knows."""
    within: Any = None
    """The context that it belongs to, `None` if that is the current one."""
    arrival: InboundRequest | None = None
    """The request from outside that it stands for: it began when that arrived."""


def caller_of(endpoint: Endpoint, request: Request, arguments: Arguments) -> Caller:
    """The occasion of an operation that has been asked for here and now."""
    if request.operation not in gen_ai.INFERENCE and endpoint.state is None:
        within = call_context.cold_start() if request.operation in otel_genai.LOADING else None
        return Caller(request, endpoint.inference(arguments), within)
    above = call_context.current_operation()
    if above is not None and above.inference is not None:
        return Caller(request._replace(operation=above.inference))
    arrival = call_context.inbound_request()
    if arrival is not None:
        served = arrival.served(request)
        # Of several prompts in one request, the first stands for all of it; the others begin where they are asked.
        return Caller(served, None, arrival.within, arrival) if arrival.take() else Caller(served)
    caller = call_context.carried(endpoint.carried(arguments))
    return Caller(request) if caller is None else Caller(request._replace(side=Side.SERVER), within=caller)
