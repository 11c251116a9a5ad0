"""Chat completions that are streamed: the chunks that the application gets, and the telemetry."""

from __future__ import annotations

import json
import threading
from typing import Any

import openai
import pytest
from opentelemetry.trace import StatusCode

import otel_genai
from tests.support.openai.clients import (
    BROKEN,
    STREAMED,
    USER,
    async_client,
    attributes,
    client,
    error_type,
)
from tests.support.openai.scripted_server import CUT, HELLO, Answer, chunk, delta, scripted
from tests.support.providers import Recorded, attribute


def test_a_stream(instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        stream = client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True)
        assert isinstance(stream, openai.Stream)
        assert stream.response.status_code == 200
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text == "Hello!"
    span = instrumented.span()
    assert attributes(span) == STREAMED
    first_chunk = attribute(span, "gen_ai.response.time_to_first_chunk")
    assert 0 < first_chunk < attribute(span, "otel_genai.response.time_to_first_token")
    metrics = instrumented.metrics()
    assert metrics.keys() == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.token.usage",
    }
    assert metrics["gen_ai.client.operation.time_per_output_chunk"][0].count == 4


async def test_an_async_stream(instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        async with async_client(server) as asynchronous:
            stream = await asynchronous.chat.completions.create(model="gpt-4o", messages=USER, stream=True)
            assert isinstance(stream, openai.AsyncStream)
            assert [chunk.id async for chunk in stream] == ["chatcmpl-1"] * 5
    assert attributes(instrumented.span()) == STREAMED


def test_leaving_with_closes_the_response(instrumented: Recorded) -> None:
    hold = threading.Event()
    with scripted(Answer(events=[*HELLO[:2], hold, *HELLO[2:]])) as server:
        with client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True) as stream:
            next(stream)
        assert stream.response.is_closed
        hold.set()
    expected = {name: value for name, value in STREAMED.items() if "usage" not in name}
    assert attributes(instrumented.span()) == expected | {"gen_ai.response.finish_reasons": ("error",)}
    assert instrumented.span().status.status_code is StatusCode.UNSET


def test_a_connection_that_breaks_in_mid_stream_is_an_error(instrumented: Recorded) -> None:
    with scripted(Answer(events=[*HELLO[:2], CUT])) as server:
        stream = client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True)
        with pytest.raises(BROKEN):
            list(stream)
    span = instrumented.span()
    assert attribute(span, "error.type") == error_type(BROKEN)
    assert attribute(span, "gen_ai.response.finish_reasons") == ("error",)
    assert span.status.status_code is StatusCode.ERROR


def test_an_error_that_the_server_sends_in_mid_stream_is_an_error(instrumented: Recorded) -> None:
    failing = {"error": {"message": "secret prompt overloaded", "type": "server_error", "code": "overloaded"}}
    with scripted(Answer(events=[HELLO[0], failing])) as server:
        stream = client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True)
        with pytest.raises(openai.APIError):
            list(stream)
    span = instrumented.span()
    assert attribute(span, "error.type") == "openai.APIError"
    assert span.status.description == "APIError overloaded"


def test_choices_that_are_streamed_interleaved_stay_apart(capturing: Recorded) -> None:
    events = [
        chunk(delta(0, role="assistant", content="")),
        chunk(delta(1, role="assistant", content="")),
        chunk(delta(1, content="two")),
        chunk(delta(0, content="one")),
        chunk(delta(1, finish_reason="length")),
    ]
    with scripted(Answer(events=events)) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True, n=2))
    span = capturing.span()
    assert attribute(span, "gen_ai.request.choice.count") == 2
    assert attribute(span, "gen_ai.response.finish_reasons") == ("error", "length")
    assert json.loads(attribute(span, "gen_ai.output.messages")) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "one"}], "finish_reason": "error"},
        {"role": "assistant", "parts": [{"type": "text", "content": "two"}], "finish_reason": "length"},
    ]


def test_tool_calls_that_are_streamed_interleaved_and_cut(capturing: Recorded) -> None:
    def call(index: int, arguments: str, **fields: Any) -> dict[str, Any]:
        return {
            "index": index,
            "function": {"arguments": arguments, **fields},
            **({"id": f"call_{index}"} if fields else {}),
        }

    events = [
        chunk(delta(role="assistant", content=None, tool_calls=[call(0, "", name="weather")])),
        chunk(delta(tool_calls=[call(1, "", name="time")])),
        chunk(delta(tool_calls=[call(0, '{"city":')])),
        chunk(delta(tool_calls=[call(1, '{"zone":'), call(0, '"Oslo"}')])),
        chunk(delta(finish_reason="tool_calls")),
    ]
    with scripted(Answer(events=events)) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    span = capturing.span()
    assert attribute(span, "gen_ai.response.finish_reasons") == ("tool_calls",)
    assert json.loads(attribute(span, "gen_ai.output.messages")) == [
        {
            "role": "assistant",
            "finish_reason": "tool_call",
            "parts": [
                {"type": "tool_call", "id": "call_0", "name": "weather", "arguments": {"city": "Oslo"}},
                {"type": "tool_call", "id": "call_1", "name": "time", "arguments": '{"zone":'},
            ],
        }
    ]


def test_azures_first_chunk_has_no_choices_and_no_id(instrumented: Recorded) -> None:
    opening = chunk(id="", model="", prompt_filter_results=[{"prompt_index": 0}])
    with scripted(Answer(events=[opening, *HELLO])) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    assert attributes(instrumented.span()) == STREAMED


def test_reasoning_deltas_count_as_output(capturing: Recorded) -> None:
    events = [
        chunk(delta(role="assistant", content="")),
        chunk(delta(reasoning_content="Let me think.")),
        chunk(delta(content="42", finish_reason="stop")),
    ]
    operations: list[Any] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    with scripted(Answer(events=events)) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    stop()
    assert operations[0].timing.first_token == operations[0].timing.chunks[1]
    (message,) = json.loads(attribute(capturing.span(), "gen_ai.output.messages"))
    assert message["parts"] == [{"type": "reasoning", "content": "Let me think."}, {"type": "text", "content": "42"}]


@pytest.mark.parametrize(
    ("counts", "tokens"),
    [([0, 1, 5, 5], [0, 1, 4, 0]), ([None, None, None, 5], [])],
    ids=["on every chunk", "at the end"],
)
def test_tokens_of_chunks_are_those_that_the_server_counted(
    instrumented: Recorded, counts: list[int | None], tokens: list[int]
) -> None:
    choices = [
        [delta(role="assistant", content="")],
        [delta(content="a")],
        [delta(content="bcde", finish_reason="stop")],
        [],
    ]
    events = [
        chunk(
            *choice,
            usage=None
            if count is None
            else {"prompt_tokens": 3, "completion_tokens": count, "total_tokens": 3 + count},
        )
        for choice, count in zip(choices, counts, strict=True)
    ]
    operations: list[Any] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    with scripted(Answer(events=events)) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    stop()
    assert list(operations[0].timing.tokens) == tokens
    assert attribute(instrumented.span(), "gen_ai.usage.output_tokens") == 5
