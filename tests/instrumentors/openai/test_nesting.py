"""Operations within operations and beside other instrumentations: each is reported once, in one trace."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind

import otel_genai
from tests.support.openai.clients import COMPLETED, USER, async_client, attributes, client
from tests.support.openai.scripted_server import HELLO, Answer, completion, scripted
from tests.support.providers import KeptSpans, Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.support.openai.scripted_server import ScriptedServer

HTTP: Any = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
"""The HTTP client that this version of the client is built on."""
ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": USER}
EMBEDDINGS = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server with one answer."""
    with scripted(Answer(completion())) as server:
        yield server


def client_with_transport(work: Callable[[Any], object], server: ScriptedServer) -> openai.OpenAI:
    """A client whose transport calls `work` for every request, as an HTTP instrumentation or a gateway does."""

    class Transport(HTTP.HTTPTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            work(request)
            return super().handle_request(request)

    return client(server, http_client=openai.DefaultHttpxClient(transport=Transport()))


def parents(spans: list[ReadableSpan]) -> dict[str, str | None]:
    """Span name → name of its parent."""
    names = {span.context.span_id: span.name for span in spans}
    assert len(names) == len(set(names.values())), "every span has a name of its own"
    return {span.name: None if span.parent is None else names[span.parent.span_id] for span in spans}


def traceparent(span: ReadableSpan | trace.Span) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


# ── upstream's own instrumentation ─────────────────────────────────────────────────────────────────────────────────────


def upstream(recorded: Recorded) -> Any:
    """Upstream's telemetry handler with the same providers."""
    handler = pytest.importorskip("opentelemetry.util.genai.handler")
    return handler.TelemetryHandler(**recorded.providers)


def test_inside_an_inference_that_upstream_reports_there_is_no_second_span(
    instrumented: Recorded, server: ScriptedServer
) -> None:
    handler = upstream(instrumented)
    server.answers.append(Answer(events=HELLO))
    with handler.inference("theirs", request_model="m"):
        client(server).chat.completions.create(**ASKED)
        stream = client(server).chat.completions.create(**ASKED, stream=True)
        assert type(stream) is openai.Stream
        assert len(list(stream)) == 5
    assert parents(instrumented.spans(1)) == {"chat m": None}
    (point,) = instrumented.metrics()["gen_ai.client.operation.duration"]
    assert (point.count, point.attributes["gen_ai.provider.name"]) == (1, "theirs")


async def test_inside_an_async_inference_that_upstream_reports_there_is_no_second_span(
    instrumented: Recorded, server: ScriptedServer
) -> None:
    with upstream(instrumented).inference("theirs", request_model="m"):
        async with async_client(server) as asynchronous:
            await asynchronous.chat.completions.create(**ASKED)
    assert parents(instrumented.spans(1)) == {"chat m": None}


def test_after_an_inference_that_upstream_reports_there_are_spans_again(
    instrumented: Recorded, server: ScriptedServer
) -> None:
    with upstream(instrumented).inference("theirs", request_model="m"):
        pass
    client(server).chat.completions.create(**ASKED)
    assert parents(instrumented.spans(2)) == {"chat m": None, "chat gpt-4o": None}


def test_an_inference_that_upstream_would_report_inside_of_ours_is_reported_once(
    instrumented: Recorded, server: ScriptedServer
) -> None:
    handler = upstream(instrumented)

    def theirs(_: Any) -> None:
        with handler.inference("theirs", request_model="m"):
            pass

    client_with_transport(theirs, server).chat.completions.create(**ASKED)
    assert attributes(instrumented.span()) == COMPLETED
    (point,) = instrumented.metrics()["gen_ai.client.operation.duration"]
    assert (point.count, point.attributes["gen_ai.provider.name"]) == (1, "openai")


def test_upstreams_other_operations_are_reported_beside_ours(instrumented: Recorded, server: ScriptedServer) -> None:
    handler = upstream(instrumented)

    def theirs(_: Any) -> None:
        with handler.embedding("theirs", request_model="m"):
            pass

    with handler.workflow("w"):
        client_with_transport(theirs, server).chat.completions.create(**ASKED)
    (workflow,) = (span.name for span in instrumented.spans(3) if span.parent is None)
    assert parents(instrumented.spans(3)) == {
        workflow: None,
        "chat gpt-4o": workflow,
        "embeddings m": "chat gpt-4o",
    }


# ── our own operations ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_embeddings_inside_a_chat_are_reported(instrumented: Recorded, server: ScriptedServer) -> None:
    with scripted(Answer(EMBEDDINGS)) as other:
        inner = client(other)
        inner_calls = iter([lambda: inner.embeddings.create(model="e", input="x", encoding_format="float")])
        client_with_transport(lambda _: next(inner_calls)(), server).chat.completions.create(**ASKED)
        sent = other.received[0].headers["traceparent"]
    assert parents(instrumented.spans(2)) == {"chat gpt-4o": None, "embeddings e": "chat gpt-4o"}
    assert sent == traceparent(instrumented.spans(2)[0])


@pytest.mark.parametrize("inner", ["chat", "completions"])
def test_an_inference_inside_of_an_inference_is_one_span(
    instrumented: Recorded, server: ScriptedServer, inner: str
) -> None:
    with scripted(Answer({"id": "1", "object": "x", "created": 1, "model": "m", "choices": []})) as other:
        deeper = client(other)

        def ask(_: Any) -> None:
            if inner == "chat":
                deeper.chat.completions.create(**ASKED)
            else:
                deeper.completions.create(model="m", prompt="x")

        client_with_transport(ask, server).chat.completions.create(**ASKED)
        assert len(other.received) == 1
    assert attributes(instrumented.span()) == COMPLETED


def test_a_call_in_the_loop_body_of_a_stream_is_its_sibling(instrumented: Recorded, server: ScriptedServer) -> None:
    server.answers.insert(0, Answer(events=HELLO))
    completions = client(server).chat.completions
    with instrumented.tracer_provider.get_tracer("app").start_as_current_span("request"):
        stream = completions.create(**ASKED, stream=True)
        next(stream)
        completions.create(model="gpt-4o-mini", messages=USER)
        assert len(list(stream)) == 4
    assert parents(instrumented.spans(3)) == {"request": None, "chat gpt-4o": "request", "chat gpt-4o-mini": "request"}


# ── suppressed ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_suppressed_instrumentation_reports_nothing_and_sends_no_context(
    instrumented: Recorded, server: ScriptedServer
) -> None:
    server.answers.insert(0, Answer(events=HELLO))
    with suppress_instrumentation():
        stream = client(server).chat.completions.create(**ASKED, stream=True)
        async with async_client(server) as asynchronous:
            await asynchronous.chat.completions.create(**ASKED)
    assert type(stream) is openai.Stream
    assert len(list(stream)) == 5
    assert ["traceparent" in request.headers for request in server.received] == [False, False]
    assert instrumented.spans(0) == []
    assert instrumented.metrics() == {}
    client(server).chat.completions.create(**ASKED)
    assert attributes(instrumented.span()) == COMPLETED


# ── HTTP clients that are instrumented too ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("answer", [Answer(completion()), Answer(events=HELLO)], ids=["whole", "stream"])
def test_the_span_of_an_http_client_is_a_child_and_is_propagated(instrumented: Recorded, answer: Answer) -> None:
    tracer = instrumented.tracer_provider.get_tracer("http")
    before: list[str] = []

    def instrumentation(request: Any) -> None:
        before.append(request.headers["traceparent"])
        with tracer.start_as_current_span("POST", kind=SpanKind.CLIENT):
            propagate.inject(request.headers)

    with scripted(answer) as server:
        result = client_with_transport(instrumentation, server).chat.completions.create(
            **ASKED, stream=answer.events is not None
        )
        if answer.events is not None:
            assert len(list(result)) == 5
        sent = server.received[0].headers["traceparent"]
    post, chat = instrumented.spans(2)
    assert parents([post, chat]) == {"chat gpt-4o": None, "POST": "chat gpt-4o"}
    assert (before, sent) == ([traceparent(chat)], traceparent(post))


# ── sampling ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Selective(Sampler):
    """Drops the calls of one model, and keeps the attributes that it received."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, Any, dict[str, Any]]] = []

    def should_sample(  # noqa: PLR0917
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        self.shown.append((name, kind, dict(attributes or {})))
        dropped = (attributes or {}).get("gen_ai.request.model") == "gpt-4o-mini"
        return SamplingResult(Decision.DROP if dropped else Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        return "Selective"


def test_a_sampler_decides_by_model(recorded: Recorded, server: ScriptedServer) -> None:
    sampler, spans = Selective(), KeptSpans()
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    otel_genai.instrument(**{**recorded.providers, "tracer_provider": provider})
    for model in ("gpt-4o", "gpt-4o-mini"):
        client(server).chat.completions.create(model=model, messages=USER, temperature=0.5)
    otel_genai.uninstrument()
    port = int(server.url.split(":")[2].split("/")[0])
    assert sampler.shown == [
        (
            f"chat {model}",
            SpanKind.CLIENT,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": model,
                "server.address": "127.0.0.1",
                "server.port": port,
            },
        )
        for model in ("gpt-4o", "gpt-4o-mini")
    ]
    assert parents(spans.ended(1)) == {"chat gpt-4o": None}
    assert [request.headers["traceparent"][-1] in "13" for request in server.received] == [True, False]
    points = recorded.metrics()["gen_ai.client.operation.duration"]
    assert {point.attributes["gen_ai.request.model"]: point.count for point in points} == {
        "gpt-4o": 1,
        "gpt-4o-mini": 1,
    }
