"""The metric tables against the conventions' own text: names, units and buckets as literals."""

from __future__ import annotations

from otel_genai.semconv.metrics import ENGINE_METRICS, LATEST, V1_41, Vintage

D = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
T = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

F = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
P = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
E = (0.001, 0.0025, 0.005, *D, 163.84, 327.68)
B = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
SERVER = {
    ("gen_ai.server.request.duration", "histogram", "s", D),
    ("gen_ai.server.time_to_first_token", "histogram", "s", F),
    ("gen_ai.server.time_per_output_token", "histogram", "s", P),
    ("otel_genai.engine.queue.duration", "histogram", "s", E),
    ("otel_genai.engine.prefill.duration", "histogram", "s", E),
    ("otel_genai.engine.decode.duration", "histogram", "s", E),
}


def table(vintage: Vintage) -> set[tuple[str, str, str, tuple[float, ...]]]:
    return {(row.name, row.kind.value, row.unit, row.buckets) for row in vintage.metrics}


def test_v1_41() -> None:
    assert V1_41.schema_url == "https://opentelemetry.io/schemas/1.41.0"
    assert table(V1_41) == SERVER | {
        ("gen_ai.client.operation.duration", "histogram", "s", D),
        ("gen_ai.client.operation.time_to_first_chunk", "histogram", "s", D),
        ("gen_ai.client.operation.time_per_output_chunk", "histogram", "s", D),
        ("gen_ai.client.token.usage", "histogram", "{token}", T),
    }


def test_latest() -> None:
    assert LATEST.schema_url == "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"
    assert table(LATEST) == SERVER | {
        ("gen_ai.client.inference.duration", "histogram", "s", D),
        ("gen_ai.client.operation.duration", "histogram", "s", D),
        ("gen_ai.client.inference.time_to_first_chunk", "histogram", "s", D),
        ("gen_ai.client.inference.time_per_output_chunk", "histogram", "s", D),
        ("gen_ai.client.inference.usage.input_tokens", "counter", "{token}", ()),
        ("gen_ai.client.inference.usage.output_tokens", "counter", "{token}", ()),
        ("gen_ai.client.inference.usage.cache_read.input_tokens", "counter", "{token}", ()),
        ("gen_ai.client.inference.usage.cache_write.input_tokens", "counter", "{token}", ()),
        ("gen_ai.client.inference.usage.reasoning.output_tokens", "counter", "{token}", ()),
        ("gen_ai.client.inference.operation.input_tokens", "histogram", "{token}", T),
        ("gen_ai.client.inference.operation.output_tokens", "histogram", "{token}", T),
    }


def test_the_load_of_engines() -> None:
    assert {(row.name, row.kind.value, row.unit, row.buckets) for row in ENGINE_METRICS} == {
        ("otel_genai.engine.requests.running", "gauge", "{request}", ()),
        ("otel_genai.engine.requests.waiting", "gauge", "{request}", ()),
        ("otel_genai.engine.kv_cache.utilization", "gauge", "1", ()),
        ("otel_genai.engine.batch.tokens", "histogram", "{token}", B),
        ("otel_genai.engine.preemptions", "counter", "{preemption}", ()),
        ("otel_genai.engine.prefix_cache.queries", "counter", "{token}", ()),
        ("otel_genai.engine.prefix_cache.hits", "counter", "{token}", ()),
    }
