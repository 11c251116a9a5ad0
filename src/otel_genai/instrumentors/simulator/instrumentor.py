"""The package's own simulator, as a model server: where its engines keep their journal, and what that says.

It is no entry point: `otel-genai simulate` switches it on for itself, while a simulator within somebody's tests stays silent.
"""

from __future__ import annotations

from typing import ClassVar, Final

from otel_genai.endpoint.rows import AsgiAppRow, Beat, Binding, Ending, Gate, Row, StatsRow
from otel_genai.instrumentors.instrumentor import Instrumentor
from otel_genai.semconv import gen_ai, otel_genai

_JOURNAL: Final = "otel_genai.simulator.engine.lifecycle"
_SERVED: Final = {
    "/v1/chat/completions": gen_ai.CHAT,
    "/v1/responses": gen_ai.CHAT,
    "/v1/completions": gen_ai.TEXT_COMPLETION,
    "/v1/embeddings": gen_ai.EMBEDDINGS,
}
"""Paths of the server, and what the requests that come there ask for."""


class SimulatorInstrumentor(Instrumentor):
    """Instruments the simulators of this process that are started afterwards."""

    requires: ClassVar[tuple[str, ...]] = ()
    rows: ClassVar[tuple[Row, ...]] = (
        Gate(module=_JOURNAL, target="Lifecycle.submitted", endpoint=f"{__package__}.sequences:TAKEN"),
        Binding(module=_JOURNAL, target="Lifecycle.started", bound=f"{__package__}.sequences:begun"),
        Beat(module=_JOURNAL, target="Lifecycle.step", told=f"{__package__}.sequences:told"),
        Ending(module=_JOURNAL, target="Lifecycle.finished", told=f"{__package__}.sequences:ended"),
        StatsRow(module=_JOURNAL, target="Lifecycle.stats", told=f"{__package__}.stats:load"),
        AsgiAppRow(
            module="otel_genai.simulator.api.app", target="routes", operations=_SERVED, provider=otel_genai.SIMULATOR
        ),
    )
