"""What an operation in this very process is for, and whose it is: an engine is given token ids, and the rest is known further up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from otel_genai.call import propagation
from otel_genai.operation import Side
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from otel_genai.call.arrival import Arrival
    from otel_genai.endpoint import Arguments, Endpoint
    from otel_genai.operation import Request


class Occasion(NamedTuple):
    """Why an operation is done."""

    request: Request
    inference: str | None = None
    """What an inference beneath this operation is, if it is this one that knows."""
    within: Any = None
    """The context that it belongs to, `None` if that is the current one."""
    arrival: Arrival | None = None
    """The request from outside that it stands for: it began when that arrived."""


def occasion(endpoint: Endpoint, request: Request, arguments: Arguments) -> Occasion:
    """The occasion of an operation that has been asked for here and now."""
    if request.operation not in gen_ai.INFERENCE and endpoint.account is None:
        within = propagation.cold_start() if request.operation in otel_genai.LOADING else None
        return Occasion(request, endpoint.inference(arguments), within)
    above = propagation.underway()
    if above is not None and above.inference is not None:
        return Occasion(request._replace(operation=above.inference))
    arrival = propagation.arrival()
    if arrival is not None:
        served = arrival.served(request)
        # Of several prompts in one request, the first stands for all of it; the others begin where they are asked.
        return Occasion(served, None, arrival.within, arrival) if arrival.take() else Occasion(served)
    caller = propagation.carried(endpoint.carried(arguments))
    return Occasion(request) if caller is None else Occasion(request._replace(side=Side.SERVER), within=caller)
