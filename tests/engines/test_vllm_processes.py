"""vLLM in processes of its own, as in deployments: one trace from the client to the engine, read from its OTLP."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import openai
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.openai.clients import client
from tests.support.otlp.receiver import Received, receiver
from tests.support.processes import RUN
from tests.support.vllm.server import MODEL, MODULE, VllmServer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint
    from opentelemetry.sdk.trace import ReadableSpan

    from tests.support.providers import Recorded

pytestmark = pytest.mark.engine

PATIENCE_S: Final = 60.0
MESSAGES: Final[Any] = [{"role": "user", "content": "What is the weather like where you are?"}]
TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
SERVE: Final = Path(__file__).parents[2] / "examples" / "vllm_serve.sh"
OFFLINE: Final = SERVE.with_name("vllm_offline.py")
PARENT: Final = "b7ad6b7169203331"
"""The span in whose trace the server starts, as a step of a job does."""
LOADING_SPANS: Final = {
    *("API server setup", "Overall Loading", "AsyncMPClient init", "EngineCoreProc init", "Executor init"),
    *("Worker init", "Load model", "Initialize model", "Load weights", "Prepare model", "Allocate KV cache"),
}
"""Spans of vLLM itself."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A server, and the telemetry that its processes export."""

    server: VllmServer
    received: Received

    def spans(self, *names: str, count: int = 1, trace_id: bytes | None = None) -> list[Span]:
        """`count` spans of these names (of one trace, if `trace_id` is given), once they are exported."""

        def found() -> list[Span]:
            return [span for span in self.received.spans if span.name in names and trace_id in {None, span.trace_id}]

        assert self.received.wait_for(lambda: len(found()) >= count, patience=PATIENCE_S), [
            span.name for span in self.received.spans
        ]
        assert len(found()) == count
        return found()

    def served(self, client_span: ReadableSpan, name: str = f"chat {MODEL}") -> Span:
        """The server's span of a client's call."""
        assert client_span.context is not None
        (span,) = self.spans(name, trace_id=client_span.context.trace_id.to_bytes(16))
        assert (span.kind, span.parent_span_id) == (Span.SPAN_KIND_SERVER, client_span.context.span_id.to_bytes(8))
        return span

    def trace(self, root: Span) -> dict[bytes, Span]:
        """The spans of one trace by their ids, which are unique."""
        spans = [span for span in self.received.spans if span.trace_id == root.trace_id]
        by_id = {span.span_id: span for span in spans}
        assert len(by_id) == len(spans)
        return by_id

    def histograms(self) -> dict[str, tuple[int, float]]:
        """Name → (count, sum), once all requests with a span are counted."""
        served = sum(span.kind == Span.SPAN_KIND_SERVER for span in self.received.spans)

        def counted() -> dict[str, tuple[int, float]]:
            points: dict[tuple[str, str], HistogramDataPoint] = {}
            for metric in self.received.metrics:  # cumulative: the last point of each counts
                for point in metric.histogram.data_points:
                    points[metric.name, str(point.attributes)] = point
            sums: dict[str, tuple[int, float]] = {}
            for (name, _), point in points.items():
                count, total = sums.get(name, (0, 0.0))
                sums[name] = (count + point.count, total + point.sum)
            return sums

        duration = "gen_ai.server.request.duration"
        assert self.received.wait_for(lambda: counted().get(duration, (0,))[0] >= served, patience=PATIENCE_S)
        assert counted()[duration][0] == served
        return counted()


def attributes(span: Span) -> dict[str, Any]:
    """All attributes but times."""
    values = {item.key: item.value for item in span.attributes}
    return {
        name: [element.string_value for element in value.array_value.values]
        if value.WhichOneof("value") == "array_value"
        else getattr(value, value.WhichOneof("value") or "string_value")
        for name, value in values.items()
        if not name.startswith("otel_genai.") and "time_to" not in name
    }


def phases(span: Span) -> dict[str, float]:
    """The phases of a span by name, in seconds."""
    prefix = "otel_genai.phase."
    return {
        item.key.removeprefix(prefix): item.value.double_value
        for item in span.attributes
        if item.key.startswith(prefix)
    }


def seconds(span: Span) -> float:
    return (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9


def variables(received: Received) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "500"}


@pytest.fixture(scope="module")
def observed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """A server under the runner, started within a trace, after one request without a trace."""
    with (
        receiver() as received,
        serving(
            tiny_model,
            tmp_path_factory.mktemp("observed"),
            command=(*RUN, *MODULE),
            variables=variables(received) | {"TRACEPARENT": f"00-{TRACE}-{PARENT}-01"},
        ) as server,
    ):
        with openai.OpenAI(base_url=server.url, api_key="unused") as caller:
            caller.completions.create(model=MODEL, prompt="The sea", max_tokens=4)
        yield Observed(server, received)


@pytest.fixture
def caller(observed: Observed, instrumented: Recorded) -> openai.OpenAI:
    """An instrumented client."""
    return client(observed.server.url)


def test_the_client_and_the_server_are_one_trace(
    observed: Observed, caller: openai.OpenAI, instrumented: Recorded
) -> None:
    answer = caller.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=6, temperature=0.5, seed=3)
    span = observed.served(instrumented.span())
    assert answer.usage is not None
    assert attributes(span) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.max_tokens": 6,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 3,
        "gen_ai.response.id": answer.id,
        "gen_ai.response.model": MODEL,
        "gen_ai.response.finish_reasons": ["length"],
        "gen_ai.usage.input_tokens": answer.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": 6,
    }
    assert phases(span).keys() == {"preprocess", "queue", "prefill", "decode"}
    assert sum(phases(span).values()) <= seconds(span)
    assert span.status.code == Status.STATUS_CODE_UNSET


def test_a_request_without_a_trace_begins_one_also_in_a_server_with_traceparent(observed: Observed) -> None:
    (span,) = observed.spans(f"text_completion {MODEL}")
    assert (span.kind, span.parent_span_id) == (Span.SPAN_KIND_SERVER, b"")
    assert span.trace_id.hex() != TRACE


def test_spans_of_loading_are_children_of_the_cold_start(observed: Observed) -> None:
    (start,) = observed.spans("cold_start")
    (request,) = observed.spans(f"text_completion {MODEL}")
    assert (start.trace_id.hex(), start.parent_span_id.hex(), start.kind) == (TRACE, PARENT, Span.SPAN_KIND_INTERNAL)
    assert start.end_time_unix_nano / 1e9 == pytest.approx(request.end_time_unix_nano / 1e9, abs=1e-3)
    assert list(phases(start)) == ["import", "start_engine", "await_request", "first_request"]
    assert sum(phases(start).values()) == pytest.approx(seconds(start), abs=1e-3)
    loaded = observed.trace(start)
    assert {span.name for span in loaded.values()} >= LOADING_SPANS
    # The engine's core is a process of its own. The parent of its spans is in the process that started it.
    assert [span.name for span in loaded.values() if span.parent_span_id not in loaded] == ["cold_start"]
    (core,) = observed.spans("EngineCoreProc init")
    assert loaded[core.parent_span_id].name == "AsyncMPClient init"


def test_a_stream_is_one_request(observed: Observed, caller: openai.OpenAI, instrumented: Recorded) -> None:
    stream = caller.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=6, stream=True)
    chunks = [chunk for chunk in stream if chunk.choices]
    span = observed.served(instrumented.span())
    assert attributes(span)["gen_ai.request.stream"] is True
    assert attributes(span)["gen_ai.response.id"] == chunks[0].id
    assert attributes(span)["gen_ai.usage.output_tokens"] == 6


def test_a_client_that_disconnects_in_mid_stream_is_no_error(
    observed: Observed, caller: openai.OpenAI, instrumented: Recorded
) -> None:
    with caller.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=900, stream=True) as stream:
        for _ in range(3):
            next(stream)
    span = observed.served(instrumented.span())
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert attributes(span)["gen_ai.response.finish_reasons"] == ["abort"]
    assert 0 < attributes(span)["gen_ai.usage.output_tokens"] < 900


def test_a_refused_request_is_an_error_of_the_server(
    observed: Observed, caller: openai.OpenAI, instrumented: Recorded
) -> None:
    with pytest.raises(openai.BadRequestError):
        caller.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=100_000)
    span = observed.served(instrumented.span(), "chat")
    assert attributes(span) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "error.type": "400",
    }
    assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "HTTP 400")


def test_fifty_concurrent_streams_are_fifty_traces(
    observed: Observed, caller: openai.OpenAI, instrumented: Recorded
) -> None:
    def ask(number: int) -> int:
        stream = caller.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=5 + number, stream=True)
        return sum(bool(chunk.choices) for chunk in stream)

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(ask, range(50)))
    calls = instrumented.spans(50)
    tokens = sorted(attributes(observed.served(span))["gen_ai.usage.output_tokens"] for span in calls)
    assert tokens == list(range(5, 55))


def test_our_histograms_equal_vllms_own_metrics(
    observed: Observed, caller: openai.OpenAI, instrumented: Recorded
) -> None:
    observed.server.counts()  # waits until no request is running
    ours, theirs = observed.histograms(), observed.server.histograms()
    for _ in range(5):
        list(caller.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=12, stream=True))
    served = [observed.served(span) for span in instrumented.spans(5)]
    observed.server.counts()
    ours_after, theirs_after = observed.histograms(), observed.server.histograms()

    def more(after: dict[str, tuple[int, float]], before: dict[str, tuple[int, float]], name: str) -> Any:
        (count, total), (count_before, total_before) = after[name], before[name]
        return count - count_before, pytest.approx(total - total_before, abs=0.005)

    # vLLM's clock for a request starts after tokenization; ours when the request is received.
    preprocessing = sum(phases(span)["preprocess"] for span in served)
    for name, of_vllm, earlier in (
        ("otel_genai.engine.queue.duration", "vllm:request_queue_time_seconds", 0.0),
        ("otel_genai.engine.prefill.duration", "vllm:request_prefill_time_seconds", 0.0),
        ("otel_genai.engine.decode.duration", "vllm:request_decode_time_seconds", 0.0),
        ("gen_ai.server.time_per_output_token", "vllm:request_time_per_output_token_seconds", 0.0),
        ("gen_ai.server.time_to_first_token", "vllm:time_to_first_token_seconds", preprocessing),
        ("gen_ai.server.request.duration", "vllm:e2e_request_latency_seconds", preprocessing),
    ):
        count, total = more(ours_after, ours, name)
        assert count == 5
        assert (count, total.expected - earlier) == more(theirs_after, theirs, of_vllm), name
    assert more(ours_after, ours, "otel_genai.engine.batch.tokens")[1] == (
        theirs_after["vllm:iteration_tokens_total"][1] - theirs["vllm:iteration_tokens_total"][1]
    )


def test_the_plug_in_instruments_a_server_started_without_the_runner(
    tiny_model: Path, tmp_path: Path, instrumented: Recorded
) -> None:
    """Also with vLLM's own tracing, whose span of a request is left out."""
    with (
        receiver() as received,
        serving(
            tiny_model,
            tmp_path,
            command=("sh", str(SERVE)),
            options=("--otlp-traces-endpoint", f"{received.endpoint}/v1/traces"),
            variables=variables(received)
            | {"OTEL_GENAI_VLLM_PLUGIN": "true", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
            | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        ) as server,
    ):
        observed = Observed(server, received)
        client(server.url).chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=6)
        span = observed.served(instrumented.span())
        (start,) = observed.spans("cold_start")
        observed.spans("EngineCoreProc init")  # vLLM's other processes export their spans themselves
    assert attributes(span)["gen_ai.usage.output_tokens"] == 6
    loaded = observed.trace(start)
    # The server's setup precedes plug-ins.
    assert LOADING_SPANS - {"API server setup"} <= {span.name for span in loaded.values()}
    assert [span.name for span in loaded.values() if span.parent_span_id not in loaded] == ["cold_start"]
    assert "llm_request" not in {span.name for span in received.spans}
    assert {
        item.value.string_value
        for resource in received.resources
        for item in resource.attributes
        if item.key == "service.name"
    } >= {"vllm"}


PROGRAM: Final = """
import asyncio, sys
from vllm import AsyncEngineArgs, SamplingParams
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM

async def main():
    engine = AsyncLLM.from_engine_args(
        AsyncEngineArgs(model=sys.argv[1], enforce_eager=True, dtype="float32", max_model_len=256)
    )
    async def ask(name, **settings):
        params = SamplingParams(output_kind=RequestOutputKind.FINAL_ONLY, **settings)
        async for output in engine.generate("The sea", params, name):
            pass
        return [len(answer.token_ids) for answer in output.outputs]
    print(await asyncio.gather(ask("one", max_tokens=5), ask("two", max_tokens=7, n=2)))
    engine.shutdown()

if __name__ == "__main__":
    asyncio.run(main())
"""


def printed(script: Path, model: Path, received: Received, cwd: Path, **more: str) -> list[str]:
    """The lines that a program prints under the runner."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "VLLM_"))}
    quiet = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*RUN, str(script), str(model)],
        cwd=cwd,
        env=inherited | quiet | variables(received) | more,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_an_engine_in_processes_of_its_own_has_requests_and_a_cold_start(tiny_model: Path, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(PROGRAM)
    with receiver() as received:
        assert "[[5], [7, 7]]" in printed(script, tiny_model, received, tmp_path)
    requests = {
        attributes(span)["gen_ai.response.id"]: span
        for span in received.spans
        if span.name.startswith("text_completion")
    }
    assert {
        name: (attributes(span)["gen_ai.usage.output_tokens"], attributes(span)["gen_ai.response.finish_reasons"])
        for name, span in requests.items()
    } == {"one": (5, ["length"]), "two": (14, ["length", "length"])}
    assert {(span.kind, span.parent_span_id) for span in requests.values()} == {(Span.SPAN_KIND_INTERNAL, b"")}
    (start,) = (span for span in received.spans if span.name == "cold_start")
    loaded = {span.name for span in received.spans if span.trace_id == start.trace_id}
    assert loaded >= LOADING_SPANS - {"API server setup"}


def test_the_offline_example_is_one_batch_of_chats(tiny_model: Path, tmp_path: Path) -> None:
    with receiver() as received:
        lines = printed(OFFLINE, tiny_model, received, tmp_path, VLLM_ENABLE_V1_MULTIPROCESSING="0")
    assert [line for line in lines if line.startswith("> ")] == [
        "> Why is the sky blue? One sentence, please.",
        "> Count from one to ten, in words.",
        "> What is the capital of France?",
    ]
    (batch,) = (span for span in received.spans if span.name.startswith("batch"))
    chats = [span for span in received.spans if span.name.startswith("chat")]
    assert [(span.parent_span_id, attributes(span)["gen_ai.usage.output_tokens"]) for span in chats] == [
        (batch.span_id, 40)
    ] * 3
    (start,) = (span for span in received.spans if span.name == "cold_start")
    assert {span.name for span in received.spans if span.trace_id == start.trace_id} >= {"Load model", "Load weights"}
