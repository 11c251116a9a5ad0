"""The floor: a minimal hand-written instrumentation of one call.

One span with a dozen attributes, one data point per histogram, one branch per chunk. It handles no stream that is left early, no async
client and no error.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from openai.resources.chat.completions import Completions
from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.metrics import MeterProvider


def instrument(tracer_provider: trace.TracerProvider, meter_provider: MeterProvider, **_: Any) -> None:
    """Wrap the chat call."""
    tracer = tracer_provider.get_tracer("hand-written")
    meter = meter_provider.get_meter("hand-written")
    duration = meter.create_histogram("gen_ai.client.operation.duration", "s")
    first_chunk = meter.create_histogram("gen_ai.client.operation.time_to_first_chunk", "s")
    tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}")
    create = Completions.create

    def end(span: trace.Span, started: float, asked: dict[str, Any], answer: Any, *, reason: str, usage: Any) -> None:
        span.set_attributes(
            {
                "gen_ai.response.id": answer.id,
                "gen_ai.response.model": answer.model,
                "gen_ai.response.finish_reasons": (reason,),
                "gen_ai.usage.input_tokens": usage.prompt_tokens,
                "gen_ai.usage.output_tokens": usage.completion_tokens,
                "openai.api.type": "chat_completions",
                "gen_ai.output.type": "text",
            }
        )
        asked = {**asked, "gen_ai.response.model": answer.model}
        duration.record(perf_counter() - started, asked)
        tokens.record(usage.prompt_tokens, {**asked, "gen_ai.token.type": "input"})
        tokens.record(usage.completion_tokens, {**asked, "gen_ai.token.type": "output"})
        span.end()

    def follow(stream: Any, span: trace.Span, asked: dict[str, Any], started: float) -> Iterator[Any]:
        first = latest = chunk = next(stream)
        first_chunk.record(perf_counter() - started, asked)
        yield first
        for chunk in stream:
            if chunk.choices:
                latest = chunk
            yield chunk
        end(span, started, asked, first, reason=latest.choices[0].finish_reason, usage=chunk.usage)

    def wrapper(self: Completions, **arguments: Any) -> Any:
        started = perf_counter()
        asked = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": arguments["model"],
            "server.address": "api.openai.com",
            "server.port": 443,
        }
        span = tracer.start_span(f"chat {arguments['model']}", kind=trace.SpanKind.CLIENT, attributes=asked)
        with trace.use_span(span):
            answer = create(self, **arguments)
        if arguments.get("stream"):
            return follow(answer, span, asked, started)
        end(span, started, asked, answer, reason=answer.choices[0].finish_reason, usage=answer.usage)
        return answer

    Completions.create = wrapper  # type: ignore[method-assign]
