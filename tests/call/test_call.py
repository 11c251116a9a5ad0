"""Calls that return or are awaited: one span and its metrics, and the cases in which nothing is reported or built."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from otel_genai.config import Config
from otel_genai.telemetry.observers import observe
from tests.support.patched_toy import SPAN_IN_LIBRARY, PatchedToy
from tests.support.providers import Recorded, attribute
from tests.support.toy_library import TOY, AsyncStream, Stream, ToyError

if TYPE_CHECKING:
    from otel_genai.operation import Operation


@pytest.mark.usefixtures("ticking")
def test_a_call_is_one_client_span(toy: PatchedToy) -> None:
    assert toy.client.create(result="answer", model="m") == "answer"
    span = toy.recorded.span()
    assert (span.name, span.kind, span.status.status_code) == ("chat m", SpanKind.CLIENT, StatusCode.UNSET)
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "toy",
        "gen_ai.request.model": "m",
        "gen_ai.response.id": "answer",
    }
    # Read at 100 (start), 101 (entering the library), 102 (end).
    assert (span.start_time, span.end_time) == (5_000_000_000, 7_000_000_000)
    (point,) = toy.recorded.metrics()["gen_ai.client.operation.duration"]
    assert (point.count, point.sum) == (1, 2.0)


def test_the_application_gets_the_very_object(toy: PatchedToy) -> None:
    result = object()
    assert toy.client.create(result=result) is result


def test_the_span_is_current_while_the_library_works_and_no_longer(toy: PatchedToy) -> None:
    before = otel_context.get_current()
    toy.client.create(result="x")
    assert otel_context.get_current() is before
    (inside,) = SPAN_IN_LIBRARY
    assert inside == toy.recorded.span().context


def test_a_call_is_a_child_of_the_callers_span(toy: PatchedToy) -> None:
    with toy.recorded.tracer_provider.get_tracer("app").start_as_current_span("request") as parent:
        toy.client.create(result="x")
    child = toy.recorded.spans(2)[0]
    assert child.parent == parent.get_span_context()


@pytest.mark.parametrize("error", [ToyError("secret"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_is_the_applications_own_and_the_spans_type(toy: PatchedToy, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        toy.client.create(result=error)
    assert caught.value is error
    span = toy.recorded.span()
    name = "tests.support.toy_library.ToyError" if isinstance(error, ToyError) else type(error).__name__
    assert attribute(span, "error.type") == name
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, type(error).__name__)
    assert not span.events, "a message may hold content"
    (point,) = toy.recorded.metrics()["gen_ai.client.operation.duration"]
    assert point.attributes["error.type"] == name


async def test_an_awaited_call_is_one_span(toy: PatchedToy) -> None:
    assert await toy.client.acreate(result="answer") == "answer"
    assert attribute(toy.recorded.span(), "gen_ai.response.id") == "answer"


async def test_wrong_arguments_are_refused_where_they_are_given(toy: PatchedToy) -> None:
    with pytest.raises(TypeError, match="unexpected keyword"):
        toy.client.acreate(nonsense=1)
    assert toy.recorded.spans(0) == []


async def test_a_cancelled_call_ends_as_cancelled(toy: PatchedToy) -> None:
    event = asyncio.Event()
    task = asyncio.create_task(toy.client.acreate(result=event))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert attribute(toy.recorded.span(), "error.type") == "asyncio.exceptions.CancelledError"


async def test_concurrent_calls_each_have_their_own_parent(toy: PatchedToy) -> None:
    tracer = toy.recorded.tracer_provider.get_tracer("app")

    async def request(number: int) -> None:
        with tracer.start_as_current_span(f"request {number}"):
            stream = await toy.client.acreate(result=AsyncStream(["a", "b"]), model=str(number))
            async for _ in stream:
                await asyncio.sleep(0)
            assert trace.get_current_span().name == f"request {number}"  # type: ignore[attr-defined]

    await asyncio.gather(*map(request, range(50)))
    spans = toy.recorded.spans(100)
    parents = {span.context.span_id: span.name for span in spans if span.parent is None}
    pairs = {(span.name, parents[span.parent.span_id]) for span in spans if span.parent is not None}
    assert pairs == {(f"chat {number}", f"request {number}") for number in range(50)}


def test_suppressed_instrumentation_is_not_reported(toy: PatchedToy) -> None:
    with suppress_instrumentation():
        assert toy.client.create(result="x") == "x"
    assert toy.recorded.spans(0) == []
    assert toy.recorded.metrics() == {}


async def test_an_operation_inside_one_of_the_same_name_is_not_reported_twice(toy: PatchedToy) -> None:
    await toy.client.acreate(result="x")  # which calls `create`, also patched, inside
    assert len(SPAN_IN_LIBRARY) == 1
    assert [span.context for span in toy.recorded.spans(1)] == SPAN_IN_LIBRARY


def test_an_unsampled_call_is_measured_and_builds_nothing(recorded: Recorded) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("content was built for a span that is not recorded")

    recorded.tracer_provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    toy = PatchedToy(
        recorded,
        Config(content_on_spans=True, content_on_events=True, emit_event=True),
        replace(TOY, prompt=never),
    )
    operations: list[Operation] = []
    stop = observe(lambda operation, _: operations.append(operation))
    toy.client.create(result="x")
    list(toy.client.create(result=Stream(["a"])))
    stop()
    toy.patches.revert()
    assert recorded.events() == []
    assert [operation.response.messages for operation in operations] == [(), ()]
    (point,) = recorded.metrics()["gen_ai.client.operation.duration"]
    assert point.count == 2


def test_with_content_off_no_content_is_built(recorded: Recorded) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("content was built though it is not captured")

    toy = PatchedToy(recorded, Config(emit_event=True), replace(TOY, prompt=never))
    toy.client.create(result="x")
    toy.patches.revert()
    (event,) = recorded.events()
    assert "gen_ai.output.messages" not in (event.log_record.attributes or {})
