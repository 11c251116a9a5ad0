"""The parent and the kind of a request's span: W3C headers, inbound HTTP requests, current spans."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context, trace

from otel_genai.call import context as call_context
from otel_genai.call.inbound import InboundRequest, with_inbound_request
from tests.support.vllm.engines import DELTA, HEADERS, async_llm
from tests.support.vllm.stub import EngineCoreOutput, FinishReason, PoolingParams

if TYPE_CHECKING:
    from tests.support.providers import Recorded


def test_trace_headers_give_the_parent(instrumented: Recorded) -> None:
    engine = async_llm()
    asyncio.run(engine.add_request("r1", "words", DELTA, trace_headers=HEADERS))
    engine.process(EngineCoreOutput("r1", [1], FinishReason.LENGTH))
    span = instrumented.span()
    assert span.kind is trace.SpanKind.SERVER
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}, {"tracestate": "a=b"}])
def test_headers_without_a_trace_give_no_parent(headers: dict[str, str], instrumented: Recorded) -> None:
    engine = async_llm()
    asyncio.run(engine.add_request("r1", "words", DELTA, trace_headers=headers))
    engine.process(EngineCoreOutput("r1", [1], FinishReason.LENGTH))
    span = instrumented.span()
    assert (span.kind, span.parent) == (trace.SpanKind.INTERNAL, None)


@pytest.mark.parametrize(("params", "operation"), [(DELTA, "chat"), (PoolingParams("embed"), "embeddings")])
def test_an_inbound_http_request_makes_a_server_span(params: Any, operation: str, instrumented: Recorded) -> None:
    engine = async_llm()
    inbound = with_inbound_request(InboundRequest(operation, call_context.extracted(HEADERS)))
    with call_context.current(inbound):
        asyncio.run(engine.add_request("r1", "words", params))
    engine.process(EngineCoreOutput("r1", [], FinishReason.STOP))
    span = instrumented.span()
    assert (span.name, span.kind) == (f"{operation} org/model", trace.SpanKind.SERVER)
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"


def test_a_current_span_is_the_parent_in_place_of_trace_headers(instrumented: Recorded) -> None:
    engine = async_llm()
    with instrumented.tracer_provider.get_tracer("app").start_as_current_span("app"):
        asyncio.run(engine.add_request("r1", "words", DELTA, trace_headers=HEADERS))
    engine.process(EngineCoreOutput("r1", [1], FinishReason.LENGTH))
    app, span = instrumented.spans(2)
    assert span.kind is trace.SpanKind.INTERNAL
    assert span.parent == app.context


def test_trace_headers_are_the_parent_in_place_of_an_inherited_one(instrumented: Recorded) -> None:
    remote = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags.get_default())
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(remote)))
    engine = async_llm()
    asyncio.run(engine.add_request("r1", "words", DELTA, trace_headers=HEADERS))
    context.detach(token)
    engine.process(EngineCoreOutput("r1", [1], FinishReason.LENGTH))
    span = instrumented.span()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
