"""Reports of engines and finished requests as telemetry, and the metrics that come of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from otel_genai.config import Config
from otel_genai.operation import EngineStats, Operation, Phase, Request, Side, Timing
from otel_genai.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from tests.support.providers import Recorded

RUNNING = "otel_genai.engine.requests.running"
QUEUE = "otel_genai.engine.queue.duration"
PREFILL = "otel_genai.engine.prefill.duration"
DECODE = "otel_genai.engine.decode.duration"
PHASES = (
    Phase("queue", 0.0, 0.5),
    Phase("prefill", 0.5, 0.75),
    Phase("decode", 0.75, 1.0),
    Phase("queue", 1.0, 1.25),  # preempted
    Phase("decode", 1.25, 2.25),
    Phase("of another kind", 0.0, 3.0),
)


def telemetry(recorded: Recorded, config: Config | None = None, scope: str = "toy") -> Telemetry:
    """A writer to these providers."""
    return Telemetry(scope, "1", config or Config(), **recorded.providers)


def stats(model: str | None = "m", index: int = 0, **reported: Any) -> EngineStats:
    """One report of an engine."""
    return EngineStats("toy", model, index, **reported)


def values(recorded: Recorded, name: str) -> dict[tuple[str | None, int], float]:
    """The data points of a metric by model and engine index."""
    return {
        (point.attributes.get("gen_ai.request.model"), point.attributes["otel_genai.engine.index"]): point.value
        for point in recorded.metrics().get(name, ())
    }


def report(telemetry: Telemetry, *, side: Side = Side.SERVER, **outcome: Any) -> None:
    """Report a request that took three seconds, most of it in `PHASES`."""
    request = Request(operation=outcome.pop("operation", "chat"), provider="toy", model="m", side=side)
    span = telemetry.start(request, 0)
    timing = Timing(
        began_ns=0,
        started=0.0,
        ended=3.0,
        first_token=outcome.pop("first_token", 0.75),
        phases=outcome.pop("phases", PHASES),
    )
    telemetry.report(span, trace.set_span_in_context(span), Operation(request=request, timing=timing, **outcome))
