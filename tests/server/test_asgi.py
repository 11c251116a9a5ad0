"""Inbound requests: the first inference for each is its span."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import types
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from otel_genai.config import Config
from otel_genai.endpoint.rows import CallRow, ContextRow
from otel_genai.endpoint.server_rows import AsgiAppRow
from otel_genai.operation import Side
from otel_genai.patching.patches import Patches
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.providers import Recorded, attribute
from tests.support.toy_library import TOY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
CALLER_ID = 0xB7AD6B7169203331
TRACEPARENT = f"00-{TRACE_ID:032x}-{CALLER_ID:016x}-01"


def serving_library() -> types.ModuleType:
    module = types.ModuleType("toy_library")

    class Model:
        def generate(self) -> str:
            return "answer"

    class Worker:
        def __init__(self) -> None:
            self.work: queue.Queue[Any] = queue.Queue()

        def submit(self, function: Callable[[], Any]) -> None:
            self.work.put(function)
            thread = threading.Thread(target=self.work.get())
            thread.start()
            thread.join()

    async def answer(request: Request) -> PlainTextResponse:
        if "refused" in request.query_params:
            raise HTTPException(int(request.query_params["refused"]), "Zanzibar is not served")
        if "cancelled" in request.query_params:
            raise asyncio.CancelledError
        if "broken" in request.query_params:
            raise ZeroDivisionError
        worker = module.Worker()
        for _ in range(int(request.query_params.get("times", "1"))):
            with module.step():
                worker.submit(module.Model().generate)
        return PlainTextResponse("answer", int(request.query_params.get("status", "200")))

    def build() -> Starlette:
        return unbuilt()

    def unbuilt() -> Starlette:
        return Starlette(routes=[Route(path, answer) for path in ("/chat", "/other")])

    def serve(app: Starlette) -> None:
        pass

    module.__dict__.update(Model=Model, Worker=Worker, build=build, unbuilt=unbuilt, serve=serve, step=nullcontext)
    return module


INFERENCE = replace(
    TOY,
    default=TOY.default._replace(side=Side.INTERNAL, operation="text_completion"),
    request=lambda arguments: TOY.default._replace(side=Side.INTERNAL, operation="text_completion"),
)


@pytest.fixture
def app(recorded: Recorded) -> Iterator[Any]:
    """An application that serves a model."""
    module = serving_library()
    sys.modules["toy_library"] = module
    telemetry = Telemetry("toy", "1", Config(), **recorded.providers)
    patches = Patches(
        [
            CallRow(module="toy_library", target="Model.generate", endpoint=INFERENCE),
            AsgiAppRow(module="toy_library", target="build", operations={"/chat": "chat"}, provider="toy"),
            # The same application again.
            AsgiAppRow(
                module="toy_library", target="serve", operations={"/chat": "chat"}, provider="toy", is_given=True
            ),
            ContextRow(module="toy_library", target="Worker.submit", policy="carry"),
        ],
        lambda: telemetry,
    )
    patches.apply()
    app = module.build()
    module.serve(app)
    yield app
    patches.revert()
    del sys.modules["toy_library"]


async def get(app: Any, path: str, *, query: str = "", traceparent: str | None = TRACEPARENT) -> int:
    """The status that the application answers with."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [] if traceparent is None else [(b"traceparent", traceparent.encode())]
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return int(sent[0]["status"])


async def test_an_inference_for_a_request_is_its_span_in_the_callers_trace(app: Any, recorded: Recorded) -> None:
    assert await get(app, "/chat") == 200
    span = recorded.span()
    assert span.kind is SpanKind.SERVER
    assert attribute(span, "gen_ai.operation.name") == "chat"
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id, span.parent.is_remote) == (TRACE_ID, CALLER_ID, True)


async def test_an_application_that_another_function_built_is_instrumented_when_it_is_served(
    app: Any, recorded: Recorded
) -> None:
    library = sys.modules["toy_library"]
    unseen = library.unbuilt()
    library.serve(unseen)
    assert await get(unseen, "/chat") == 200
    assert recorded.span().kind is SpanKind.SERVER


async def test_an_application_whose_middleware_stack_is_built_is_instrumented(app: Any, recorded: Recorded) -> None:
    library = sys.modules["toy_library"]
    started = library.unbuilt()
    started.middleware_stack = started.build_middleware_stack()
    library.serve(started)
    assert await get(started, "/chat") == 200
    assert recorded.span().kind is SpanKind.SERVER


async def test_a_served_inference_has_only_the_metrics_of_a_server(app: Any, recorded: Recorded) -> None:
    await get(app, "/chat")
    assert set(recorded.metrics()) == {"gen_ai.server.request.duration"}


async def test_the_span_begins_when_the_request_arrived(
    app: Any, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otel_genai.call.inbound.time_ns", lambda: 1_000)
    await get(app, "/chat")
    assert recorded.span().start_time == 1_000


async def test_a_request_without_trace_context_begins_a_trace(app: Any, recorded: Recorded) -> None:
    await get(app, "/chat", traceparent=None)
    span = recorded.span()
    assert (span.kind, span.parent) == (SpanKind.SERVER, None)


async def test_the_trace_in_which_the_process_was_started_is_not_the_parent_of_a_request(
    app: Any, recorded: Recorded
) -> None:
    ambient = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(ambient)):
        await get(app, "/chat", traceparent=None)
        await get(app, "/chat")
    assert [span.parent and span.parent.trace_id for span in recorded.spans(2)] == [None, TRACE_ID]


async def test_the_span_of_a_web_framework_is_the_parent(app: Any, recorded: Recorded) -> None:
    with trace.use_span(recorded.tracer_provider.get_tracer("web").start_span("GET /chat"), end_on_exit=True):
        await get(app, "/chat")
    inference, web = recorded.spans(2)
    assert (inference.kind, inference.parent) == (SpanKind.SERVER, web.context)


async def test_a_span_that_the_application_opens_later_is_not_the_parent(
    app: Any, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = recorded.tracer_provider.get_tracer("web").start_as_current_span
    monkeypatch.setattr(sys.modules["toy_library"], "step", lambda: step("endpoint"), raising=False)
    await get(app, "/chat")
    inference, _ = recorded.spans(2)
    assert inference.parent is not None
    assert inference.parent.span_id == CALLER_ID


async def test_a_second_inference_for_a_request_is_a_second_span(app: Any, recorded: Recorded) -> None:
    await get(app, "/chat", query="times=2")
    first, second = recorded.spans(2)
    assert (first.kind, second.kind) == (SpanKind.SERVER, SpanKind.SERVER)
    assert (first.name, second.name) == ("chat", "chat")
    assert (first.end_time or 0) <= (second.start_time or 0)
    assert second.parent is not None
    assert second.parent.trace_id == TRACE_ID


async def test_a_request_to_another_path_is_not_a_request_to_the_model(app: Any, recorded: Recorded) -> None:
    assert await get(app, "/other") == 200
    span = recorded.span()
    assert (span.kind, span.parent) == (SpanKind.INTERNAL, None)


async def test_a_request_that_is_refused_before_any_inference_is_a_span(app: Any, recorded: Recorded) -> None:
    assert await get(app, "/chat", query="refused=400") == 400
    span = recorded.span()
    assert (span.name, span.kind) == ("chat", SpanKind.SERVER)
    assert span.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "toy",
        "error.type": "400",
    }
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, "HTTP 400")
    assert span.parent is not None
    assert span.parent.span_id == CALLER_ID
    assert set(recorded.metrics()) == {"gen_ai.server.request.duration"}


async def test_an_exception_before_any_inference_is_the_error_of_the_request(app: Any, recorded: Recorded) -> None:
    with pytest.raises(ZeroDivisionError):
        await get(app, "/chat", query="broken")
    span = recorded.span()
    assert (span.kind, attribute(span, "error.type")) == (SpanKind.SERVER, "ZeroDivisionError")


async def test_a_client_that_disconnects_before_any_inference_is_not_reported(app: Any, recorded: Recorded) -> None:
    with pytest.raises(asyncio.CancelledError):
        await get(app, "/chat", query="cancelled")
    recorded.spans(0)


async def test_an_error_status_after_an_inference_adds_no_span(app: Any, recorded: Recorded) -> None:
    assert await get(app, "/chat", query="status=500") == 500
    assert recorded.span().status.is_unset


async def test_a_refused_request_to_another_path_is_not_reported(app: Any, recorded: Recorded) -> None:
    assert await get(app, "/other", query="refused=400") == 400
    recorded.spans(0)


async def test_a_successful_answer_without_an_inference_is_not_reported(app: Any, recorded: Recorded) -> None:
    assert await get(app, "/chat", query="times=0") == 200
    recorded.spans(0)


async def test_no_span_is_current_after_a_request(app: Any, recorded: Recorded) -> None:
    await get(app, "/chat")
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_submitted_function_runs_in_the_context_of_its_submitter(app: Any, recorded: Recorded) -> None:
    seen: list[Any] = []
    worker = sys.modules["toy_library"].Worker()
    with trace.use_span(recorded.tracer_provider.get_tracer("app").start_span("app"), end_on_exit=True) as span:
        worker.submit(lambda: seen.append(trace.get_current_span()))
    worker.submit(lambda: seen.append(trace.get_current_span()))
    assert seen == [span, trace.INVALID_SPAN]
