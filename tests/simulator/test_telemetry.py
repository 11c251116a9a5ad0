"""The simulator as a model server with telemetry of its own: spans, metrics, and the settings that switch them on."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from otel_genai.simulator import serve
from otel_genai.simulator.engine.profile import Profile
from otel_genai.simulator.telemetry import ServerTelemetry
from tests.support.providers import Recorded, attribute
from tests.support.simulator.calls import HELLO, post, send
from tests.support.simulator.reporting import serve_reporting

if TYPE_CHECKING:
    from pathlib import Path

    from otel_genai.operation import Operation
    from tests.support.otlp.receiver import Received

FAST = Profile(
    name="fast",
    prefill_tokens_per_second=1e6,
    decode_step_ms=((1, 0.1),),
    kv_cache_tokens=16_000,
    context_tokens=4000,
)
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
VARYING = ("gen_ai.response.id", "gen_ai.response.time_to_first_chunk", "otel_genai.")


@pytest.fixture
def telemetry(recorded: Recorded) -> ServerTelemetry:
    return ServerTelemetry(**recorded.providers)


def steady(span: Any) -> dict[str, Any]:
    """The attributes that are the same in every run."""
    return {name: value for name, value in span.attributes.items() if not name.startswith(VARYING)}


@pytest.mark.parametrize("engine", [{"profile": FAST}, {}])
def test_a_request_is_a_server_span_within_its_callers_trace(
    recorded: Recorded, telemetry: ServerTelemetry, engine: dict[str, Any]
) -> None:
    with (
        serve_reporting(telemetry, **engine) as url,
        openai.OpenAI(base_url=url, api_key="unused", max_retries=0, default_headers=CALLER) as client,
    ):
        completion = client.chat.completions.create(
            model="sim-8b", messages=HELLO, n=2, max_tokens=3, temperature=0.5, seed=1, stop=["."]
        )
    span = recorded.span()
    assert (span.name, span.kind, span.status.status_code) == ("chat sim-8b", SpanKind.SERVER, StatusCode.UNSET)
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "otel_genai.instrumentors.simulator"
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert attribute(span, "gen_ai.response.id") == completion.id
    assert steady(span) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "simulator",
        "gen_ai.request.model": "sim-8b",
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.max_tokens": 3,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 1,
        "gen_ai.request.stop_sequences": (".",),
        "gen_ai.response.model": "sim-8b",
        "gen_ai.response.finish_reasons": ("length", "length"),
        "gen_ai.usage.input_tokens": 4,
        "gen_ai.usage.output_tokens": 6,
    }


def test_phases_fill_the_time_from_the_request_to_the_last_token(
    recorded: Recorded, telemetry: ServerTelemetry, operations: list[Operation]
) -> None:
    with serve_reporting(telemetry, profile=FAST) as url:
        post(url, model="sim-8b", messages=HELLO)
    recorded.spans(1)
    (operation,) = operations
    timing = operation.timing
    assert [phase.name for phase in timing.phases] == ["preprocess", "queue", "prefill", "decode"]
    assert timing.phases[0].started == timing.started
    assert [phase.started for phase in timing.phases[1:]] == [phase.ended for phase in timing.phases[:-1]]
    assert timing.phases[-1].ended == timing.ended == timing.chunks[-1]
    assert operation.response.usage is not None
    assert sum(timing.tokens) == operation.response.usage.output == 61


@pytest.mark.parametrize(
    ("path", "fields", "name", "tokens"),
    [
        ("/v1/responses", {"input": "a b"}, "chat sim-8b", (4, 25)),
        ("/v1/completions", {"prompt": ["a", "b c"]}, "text_completion sim-8b", (3, 32)),
        ("/v1/embeddings", {"input": ["a", "b c"]}, "embeddings sim-8b", (3, None)),
    ],
)
def test_every_endpoint_has_its_operation_name_and_tokens(
    recorded: Recorded,
    telemetry: ServerTelemetry,
    *,
    path: str,
    fields: dict[str, Any],
    name: str,
    tokens: tuple[int, int | None],
) -> None:
    with serve_reporting(telemetry, profile=FAST) as url:
        send(url, "POST", path, json.dumps({"model": "sim-8b", **fields}))
    span = recorded.span()
    assert (span.name, span.kind) == (name, SpanKind.SERVER)
    found = span.attributes or {}
    assert (found["gen_ai.usage.input_tokens"], found.get("gen_ai.usage.output_tokens")) == tokens


def test_cached_tokens_are_reported(recorded: Recorded, telemetry: ServerTelemetry) -> None:
    long: Any = [{"role": "user", "content": "word " * 50}]
    # Within the first request, the second choice reads the first one's blocks from the cache: that is not reported.
    one_at_a_time = dataclasses.replace(FAST, max_sequences=1)
    with serve_reporting(telemetry, profile=one_at_a_time) as url:
        for _ in range(2):
            post(url, model="sim-8b", messages=long, n=2)
    first, second = recorded.spans(2)
    assert first.attributes is not None
    assert "gen_ai.usage.cache_read.input_tokens" not in first.attributes
    assert attribute(second, "gen_ai.usage.cache_read.input_tokens") == 48


@pytest.mark.parametrize(
    ("faults", "fields", "status"),
    [
        ({}, {"model": "gpt-none"}, "404"),
        ({}, {"n": 0}, "400"),
        ({"error_rate": 1.0}, {}, "500"),
    ],
)
def test_a_refused_request_is_a_failed_server_span(
    recorded: Recorded, telemetry: ServerTelemetry, faults: dict[str, float | None], fields: dict[str, Any], status: str
) -> None:
    with serve_reporting(telemetry, profile=FAST, faults=faults) as url:
        assert post(url, **({"model": "sim-8b", "messages": HELLO} | fields))[0] == int(status)
    span = recorded.span()
    assert (span.kind, span.status.status_code) == (SpanKind.SERVER, StatusCode.ERROR)
    assert attribute(span, "error.type") == status
    (point,) = recorded.metrics()["gen_ai.server.request.duration"]
    assert (point.count, point.attributes["error.type"]) == (1, status)


@pytest.mark.parametrize("engine", [{"profile": FAST}, {}])
def test_a_client_that_disconnects_is_no_error(
    recorded: Recorded, telemetry: ServerTelemetry, engine: dict[str, Any]
) -> None:
    with (
        serve_reporting(telemetry, itl=3600, faults={"slow_decode": 1e6} if engine else None, **engine) as url,
        openai.OpenAI(base_url=url, api_key="unused", max_retries=0) as client,
    ):
        stream = client.chat.completions.create(model="sim-8b", messages=HELLO, stream=True)
        next(stream)
        stream.close()
        span = recorded.span()
    assert span.status.status_code is StatusCode.UNSET
    assert attribute(span, "gen_ai.response.finish_reasons") == ("abort",)
    assert attribute(span, "gen_ai.usage.output_tokens") == 1


def test_the_metrics_agree_with_those_of_prometheus(recorded: Recorded, telemetry: ServerTelemetry) -> None:
    with serve_reporting(telemetry, profile=FAST) as url:
        for _ in range(3):
            post(url, model="sim-8b", messages=HELLO, max_tokens=5)
        scraped = send(url, "GET", "/metrics")[2]
        metrics = recorded.metrics()
    counts = {name: points[0].count for name, points in metrics.items() if hasattr(points[0], "count")}
    steps = float(scraped.partition("vllm:iteration_tokens_total_count")[2].split()[1])
    assert counts == {
        "gen_ai.server.request.duration": 3,
        "gen_ai.server.time_to_first_token": 3,
        "gen_ai.server.time_per_output_token": 3,
        "otel_genai.engine.queue.duration": 3,
        "otel_genai.engine.prefill.duration": 3,
        "otel_genai.engine.decode.duration": 3,
        "otel_genai.engine.batch.tokens": steps,
    }
    values = {name: points[0].value for name, points in metrics.items() if not hasattr(points[0], "count")}
    assert values == {
        "otel_genai.engine.requests.running": 0,
        "otel_genai.engine.requests.waiting": 0,
        "otel_genai.engine.kv_cache.utilization": 0.0,
        "otel_genai.engine.preemptions": 0,
        "otel_genai.engine.prefix_cache.queries": 12,
        "otel_genai.engine.prefix_cache.hits": 0,
    }


def test_content_is_reported_only_on_request(
    recorded: Recorded, telemetry: ServerTelemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_reporting(telemetry, profile=FAST) as url:
        post(url, model="sim-8b", messages=HELLO, max_tokens=3)
        (without,) = recorded.spans(1)
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    capturing = ServerTelemetry(**recorded.providers)
    with serve_reporting(capturing, profile=FAST) as url:
        post(url, model="sim-8b", messages=HELLO, max_tokens=3)
    captured = recorded.spans(2)[1]
    assert "Say" not in str(dict(without.attributes or {}))
    assert "scheduler" not in str(dict(without.attributes or {}))
    assert json.loads(attribute(captured, "gen_ai.input.messages")) == [
        {"role": "user", "parts": [{"type": "text", "content": "user: Say hello"}]}
    ]
    assert json.loads(attribute(captured, "gen_ai.output.messages")) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "The scheduler remembers"}],
            "finish_reason": "length",
        }
    ]


# ── as a process ────────────────────────────────────────────────────────────────────────────────────────────────────

CALL = f"""
import json, os, urllib.request
body = json.dumps({{"model": "sim-8b", "messages": {HELLO!r}, "max_tokens": 3}}).encode()
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
headers = {{"Content-Type": "application/json", "traceparent": {CALLER["traceparent"]!r}}}
urllib.request.urlopen(urllib.request.Request(url, body, headers)).read()
"""


def simulated(*before: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`otel-genai simulate` for one call, as an argument of the command `before` if given."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    simulate = ["simulate", "--port", "0", "--model", "sim-8b", "--ttft", "0", "--itl", "0"]
    return subprocess.run(
        [sys.executable, "-m", "otel_genai", *before, *simulate, "--", sys.executable, "-c", CALL],
        env=own | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("before", "service"), [((), "otel-genai-simulator"), (("run", "--no-summary", "-m", "otel_genai"), "otel_genai")]
)
def test_the_environment_switches_export_on(received: Received, before: tuple[str, ...], service: str) -> None:
    done = simulated(*before, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint})
    assert (done.returncode, done.stderr) == (0, "")
    (span,) = received.spans
    assert (span.name, span.trace_id.hex()) == ("chat sim-8b", TRACE)
    assert {"gen_ai.server.request.duration", "otel_genai.engine.requests.running"} <= {
        metric.name for metric in received.metrics
    }
    names = {
        attribute.value.string_value
        for resource in received.resources
        for attribute in resource.attributes
        if attribute.key == "service.name"
    }
    assert names == {service}


def test_operations_are_recorded_to_the_file_of_the_environment(received: Received, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint, "OTEL_GENAI_RECORD_FILE": str(file)}
    assert simulated(environment=environment).returncode == 0
    (operation,) = (line for line in map(json.loads, file.read_text().splitlines()) if "request" in line)
    assert (operation["request"]["provider"], operation["request"]["model"]) == ("simulator", "sim-8b")


def test_without_configuration_nothing_is_exported() -> None:
    code = (
        "import sys; from otel_genai.simulator import export; export.exported_telemetry();"
        "print('opentelemetry.sdk' in sys.modules, 'otel_genai.instrumentors' in sys.modules)"
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_a_missing_exporter_is_one_line_and_status_2() -> None:
    done = simulated(environment={"OTEL_TRACES_EXPORTER": "pigeon"})
    assert done.returncode == 2
    assert done.stderr.startswith("otel-genai simulate: no traces exporter named 'pigeon' is installed (installed: ")
    assert done.stderr.count("\n") == 1


def test_a_simulator_in_process_reports_nothing(instrumented: Recorded) -> None:
    with serve(models=["sim-8b"]) as url:
        post(url, model="sim-8b", messages=HELLO)
    assert instrumented.spans(0) == []
