"""Instrumentations of other authors, each switched on as its documentation says, writing to the same SDK.

Each has an environment of its own, so it is imported only when it is switched on. None may send anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from instrumentations import CAPTURE, Instrumentation

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentations import Kept


def _upstream(kept: Kept) -> None:
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(**kept.providers())


def _openinference(kept: Kept) -> None:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=kept.providers()["tracer_provider"])


def _openllmetry(kept: Kept) -> None:
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(**kept.providers())


def _openlit(*, content: bool) -> Callable[[Kept], None]:
    def switch_on(kept: Kept) -> None:
        import tempfile
        from pathlib import Path

        import openlit

        # It uses the providers that are there. Without a table of its own it would fetch the prices of models from the network.
        kept.set_globally()
        with tempfile.TemporaryDirectory() as folder:
            prices = Path(folder, "prices.json")
            prices.write_text(
                '{"chat": {"gpt-4o": {"promptPrice": 0.0025, "completionPrice": 0.01}}, "embeddings": {}}'
            )
            openlit.init(pricing_json=str(prices), capture_message_content=content)

    return switch_on


def _logfire(kept: Kept) -> None:
    import logfire

    logfire.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[kept.span_processor],
        metrics=logfire.MetricsOptions(additional_readers=[kept.metrics]),
        sampling=logfire.SamplingOptions(head=1.0 if kept.sampled else 0.0),
    )
    logfire.instrument_openai()


_HIDDEN = {"OPENINFERENCE_HIDE_INPUTS": "true", "OPENINFERENCE_HIDE_OUTPUTS": "true"}
_UNTRACED = {"TRACELOOP_TRACE_CONTENT": "false"}

PEERS = {
    "upstream": Instrumentation(_upstream),
    "upstream-content": Instrumentation(_upstream, environment={CAPTURE: "span_and_event"}),
    "upstream-not-sampled": Instrumentation(_upstream, sampled=False),
    "openinference": Instrumentation(_openinference, environment=_HIDDEN),
    "openinference-content": Instrumentation(_openinference),
    "openinference-not-sampled": Instrumentation(_openinference, sampled=False, environment=_HIDDEN),
    "openllmetry": Instrumentation(_openllmetry, environment=_UNTRACED),
    "openllmetry-content": Instrumentation(_openllmetry),
    "openllmetry-not-sampled": Instrumentation(_openllmetry, sampled=False, environment=_UNTRACED),
    "openlit": Instrumentation(_openlit(content=False)),
    "openlit-content": Instrumentation(_openlit(content=True)),
    "openlit-not-sampled": Instrumentation(_openlit(content=False), sampled=False),
    # It always records content.
    "logfire-content": Instrumentation(_logfire),
    "logfire-not-sampled": Instrumentation(_logfire, sampled=False),
}
"""Name → setups with content off, with content on, and with content off and no span sampled."""
