"""Streams of the Responses API: read to the end, left early, cut, failed; and the client's helper."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.trace import StatusCode
from pydantic import BaseModel

import otel_genai
from tests.support.openai.clients import BROKEN, NO_RESPONSES, async_client, attributes, client, error_type
from tests.support.openai.expected_content import answered, content, without_content
from tests.support.openai.scripted_responses import (
    CALL,
    CUT_SHORT,
    HELLO,
    OPENING,
    SEARCH,
    SEARCHED,
    STREAM,
    STREAMED,
    THOUGHT,
    at,
    event,
    response,
    unfinished,
)
from tests.support.openai.scripted_server import CUT, Answer, scripted
from tests.support.providers import attribute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.providers import Recorded

pytest.importorskip("openai.resources.responses", reason=NO_RESPONSES)


def read(events: Sequence[Any]) -> None:
    """Read a stream of these events to its end."""
    with scripted(Answer(events=events)) as server:
        list(client(server).responses.create(model="gpt-4o", input="Hi", stream=True))


# ── read to the end ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stream(capturing: Recorded) -> None:
    with scripted(Answer(events=STREAM)) as server:
        stream = client(server).responses.create(model="gpt-4o", input="Hi", stream=True)
        assert isinstance(stream, openai.Stream)
        assert [event.type for event in stream] == [event["type"] for event in STREAM]
    span = capturing.span()
    assert without_content(span) == STREAMED
    assert content(span, "output.messages") == answered("Hello!", finish_reason="stop")
    metrics = capturing.metrics()
    assert metrics.keys() == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.token.usage",
    }
    assert metrics["gen_ai.client.operation.time_per_output_chunk"][0].count == len(STREAM) - 1


async def test_an_async_stream(instrumented: Recorded) -> None:
    with scripted(Answer(events=STREAM)) as server:
        async with async_client(server) as asynchronous:
            stream = await asynchronous.responses.create(model="gpt-4o", input="Hi", stream=True)
            assert isinstance(stream, openai.AsyncStream)
            assert len([event async for event in stream]) == len(STREAM)
    assert attributes(instrumented.span()) == STREAMED


def test_a_raw_stream_is_reported(capturing: Recorded) -> None:
    with scripted(Answer(events=STREAM)) as server:
        raw = client(server).responses.with_raw_response.create(model="gpt-4o", input="Hi", stream=True)
        assert len(list(raw.parse())) == len(STREAM)
    span = capturing.span()
    assert without_content(span) == STREAMED
    assert content(span, "output.messages") == answered("Hello!", finish_reason="stop")


@pytest.mark.parametrize(
    "first",
    [
        event("output_text.delta", **at(0, delta="H")),
        event("refusal.delta", **at(0, delta="N")),
        event("reasoning_summary_text.delta", **at(0, delta="A"), summary_index=0),
        event("reasoning_text.delta", **at(0, delta="A")),
        event("function_call_arguments.delta", **at(0, delta="{")),
        event("custom_tool_call_input.delta", **at(0, delta="x")),
        event("code_interpreter_call_code.delta", **at(0, delta="x")),
        event("mcp_call_arguments.delta", **at(0, delta="{")),
        event("image_generation_call.partial_image", **at(0, partial_image_b64="iVBO"), partial_image_index=0),
        event("output_item.done", output_index=0, item=CALL),
        event("completed", response=response()),
    ],
    ids=lambda event: event["type"],
)
def test_time_to_first_token_is_that_of_the_first_output(instrumented: Recorded, first: dict[str, Any]) -> None:
    operations: list[Any] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    silent = [
        event("output_text.delta", **at(0, delta="")),
        event("output_item.done", output_index=0, item={**THOUGHT, "summary": []}),
        event("web_search_call.searching", output_index=0, item_id="ws_1"),
    ]
    read([*OPENING, *silent, first, *STREAM[4:]])
    stop()
    timing = operations[0].timing
    assert timing.first_token == timing.chunks[len(OPENING) + len(silent)]


def test_consecutive_items_are_parts_of_one_message(capturing: Recorded) -> None:
    read([OPENING[0], event("completed", response=response(THOUGHT, SEARCH, HELLO, CALL))])
    assert content(capturing.span(), "output.messages") == answered(
        {"type": "reasoning", "content": "A greeting."},
        SEARCHED,
        "Hello!",
        {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Oslo"}},
        finish_reason="tool_call",
    )
    assert attribute(capturing.span(), "gen_ai.response.finish_reasons") == ("tool_calls",)


@pytest.mark.parametrize("left_out", [None, []])
def test_output_missing_in_the_last_event_comes_from_the_stream(
    capturing: Recorded, left_out: list[Any] | None
) -> None:
    read([*STREAM[:-1], event("completed", response=response() | {"output": left_out})])
    assert content(capturing.span(), "output.messages") == answered("Hello!", finish_reason="stop")


def test_a_stream_that_ends_at_the_token_limit(instrumented: Recorded) -> None:
    ended = response(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    read([*STREAM[:-1], event("incomplete", response=ended)])
    assert attributes(instrumented.span()) == STREAMED | {"gen_ai.response.finish_reasons": ("length",)}


def test_a_failed_response_has_the_finish_reason_error(capturing: Recorded) -> None:
    failed = response(status="failed", output=[], usage=None, error={"code": "server_error", "message": "secret"})
    read([*STREAM[:5], event("failed", response=failed)])
    span = capturing.span()
    assert without_content(span) == CUT_SHORT
    assert span.status.status_code is StatusCode.UNSET
    assert content(span, "output.messages") == answered("Hel", finish_reason="error")


def test_an_error_event_without_an_exception_is_the_finish_reason_error(instrumented: Recorded) -> None:
    read([*STREAM[:5], {"type": "error", "code": "server_error", "message": "secret", "sequence_number": 9}])
    span = instrumented.span()
    assert attributes(span) == CUT_SHORT
    assert "secret" not in span.to_json()


# ── not read to the end ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_error_event_with_an_exception_is_an_error(instrumented: Recorded) -> None:
    failing = {"type": "error", "error": {"code": "server_error", "message": "secret"}, "sequence_number": 9}
    with pytest.raises(openai.APIError):
        read([*STREAM[:5], failing])
    span = instrumented.span()
    assert attributes(span) == CUT_SHORT | {"error.type": "openai.APIError"}
    assert span.status.description == "APIError server_error"


def test_a_connection_that_breaks_keeps_the_received_output(capturing: Recorded) -> None:
    thinking = [
        event("output_item.added", output_index=0, item={**THOUGHT, "summary": []}),
        event("reasoning_summary_text.delta", **at(0, delta="One. "), summary_index=0),
        event("reasoning_summary_text.delta", **at(0, delta="Two."), summary_index=1),
    ]
    answering = [
        event("output_item.added", output_index=1, item={**HELLO, "content": []}),
        event("refusal.delta", **at(1, 1, delta="No mo")),
        event("output_text.delta", **at(1, delta="Hel")),
        event("output_text.delta", **at(1, delta="lo")),
    ]
    with pytest.raises(BROKEN):
        read([OPENING[0], *thinking, *answering, CUT])
    span = capturing.span()
    assert without_content(span) == CUT_SHORT | {"error.type": error_type(BROKEN)}
    assert content(span, "output.messages") == answered(
        {"type": "reasoning", "content": "One. "},
        {"type": "reasoning", "content": "Two."},
        "Hello",
        "No mo",
        finish_reason="error",
    )


def test_function_calls_that_are_streamed_interleaved_and_cut(capturing: Recorded) -> None:
    time = {**CALL, "id": "fc_2", "call_id": "call_2", "name": "time", "arguments": ""}
    events = [
        OPENING[0],
        event("output_item.added", output_index=0, item={**CALL, "arguments": ""}),
        event("output_item.added", output_index=1, item=time),
        event("output_item.added", output_index=2, item={**time, "call_id": "call_3"}),
        event("function_call_arguments.delta", **at(1, delta='{"zone":')),
        event("function_call_arguments.delta", **at(0, delta='{"city":')),
        event("output_item.done", output_index=0, item=CALL),
        CUT,
    ]
    with pytest.raises(BROKEN):
        read(events)
    assert content(capturing.span(), "output.messages") == answered(
        {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Oslo"}},
        {"type": "tool_call", "id": "call_2", "name": "time", "arguments": '{"zone":'},
        {"type": "tool_call", "id": "call_3", "name": "time", "arguments": ""},
        finish_reason="error",
    )


def test_leaving_with_is_no_error(capturing: Recorded) -> None:
    hold = threading.Event()
    with scripted(Answer(events=[*STREAM[:5], hold, *STREAM[5:]])) as server:
        with client(server).responses.create(model="gpt-4o", input="Hi", stream=True) as stream:
            for _ in range(5):
                next(stream)
        hold.set()
    span = capturing.span()
    assert without_content(span) == CUT_SHORT
    assert span.status.status_code is StatusCode.UNSET
    assert content(span, "output.messages") == answered("Hel", finish_reason="error")


def test_a_response_without_output_has_no_message(capturing: Recorded) -> None:
    with scripted(Answer(events=STREAM)) as server:
        stream = client(server).responses.create(model="gpt-4o", input="Hi", stream=True)
        for _ in OPENING:
            next(stream)
        stream.close()
    assert "gen_ai.output.messages" not in attributes(capturing.span())


def test_a_background_response_whose_stream_is_left_while_queued(instrumented: Recorded) -> None:
    hold = threading.Event()
    with scripted(Answer(events=[event("queued", response=unfinished("queued")), hold])) as server:
        with client(server).responses.create(model="gpt-4o", input="Hi", stream=True, background=True) as stream:
            next(stream)
        hold.set()
    assert attributes(instrumented.span()) == CUT_SHORT


# ── the client's helper ────────────────────────────────────────────────────────────────────────────────────────────────


class Greeting(BaseModel):
    word: str


PARSEABLE = {**HELLO, "content": [{"type": "output_text", "text": '{"word": "Hello"}', "annotations": []}]}


def test_the_helper_is_one_span(instrumented: Recorded) -> None:
    events = [
        *OPENING,
        event("output_text.delta", **at(0, delta='{"word": "Hello"}')),
        event("output_text.done", **at(0, text='{"word": "Hello"}')),
        event("output_item.done", output_index=0, item=PARSEABLE),
        event("completed", response=response(PARSEABLE)),
    ]
    with (
        scripted(Answer(events=events)) as server,
        client(server).responses.stream(model="gpt-4o", input="Hi", text_format=Greeting) as stream,
    ):
        final = stream.get_final_response()
    assert final.output_parsed == Greeting(word="Hello")
    assert attributes(instrumented.span()) == STREAMED | {"gen_ai.output.type": "json"}


def test_leaving_the_helper_ends_the_span_at_once(capturing: Recorded) -> None:
    hold = threading.Event()
    with scripted(Answer(events=[*STREAM[:5], hold, *STREAM[5:]])) as server:
        with client(server).responses.stream(model="gpt-4o", input="Hi") as stream:
            for _ in range(5):
                next(stream)
            assert capturing.spans(0) == []
        span = capturing.span()
        hold.set()
    assert without_content(span) == CUT_SHORT
    assert span.status.status_code is StatusCode.UNSET
    assert content(span, "output.messages") == answered("Hel", finish_reason="error")


async def test_leaving_the_async_helper_ends_the_span_at_once(instrumented: Recorded) -> None:
    hold = threading.Event()
    with scripted(Answer(events=[*STREAM[:5], hold, *STREAM[5:]])) as server:
        async with async_client(server) as asynchronous:
            async with asynchronous.responses.stream(model="gpt-4o", input="Hi") as stream:
                async for received in stream:
                    if received.type == "response.output_text.delta":
                        break
            span = instrumented.span()
            hold.set()
    assert attributes(span) == CUT_SHORT
    assert span.status.status_code is StatusCode.UNSET


def test_the_helper_on_a_response_that_exists_fetches_it(instrumented: Recorded) -> None:
    with (
        scripted(Answer(events=STREAM)) as server,
        client(server).responses.stream(response_id="resp_1", starting_after=5) as stream,
    ):
        stream.until_done()
    span = instrumented.span()
    assert (span.name, attribute(span, "gen_ai.response.status")) == ("fetch_response", "completed")
    assert not [name for name in attributes(span) if "usage" in name]
