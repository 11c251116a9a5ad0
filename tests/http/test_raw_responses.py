"""Raw responses: the application keeps its very object and reads it in its own way, and telemetry is as complete as of a parsed one."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai._legacy_response import LegacyAPIResponse
from openai._response import APIResponse
from opentelemetry.trace import StatusCode

from tests.support.openai.clients import COMPLETED, STREAMED, USER, async_client, attributes, client
from tests.support.openai.scripted_server import HELLO, Answer, completion, scripted
from tests.support.providers import Recorded, attribute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ARGUMENTS: dict[str, Any] = {"model": "gpt-4o", "messages": USER}


def test_a_raw_response_is_the_very_object_and_reported_in_full(instrumented: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        raw = client(server).chat.completions.with_raw_response.create(**ARGUMENTS)
    assert type(raw) is LegacyAPIResponse
    assert raw.headers["content-type"] == "application/json"
    assert attributes(instrumented.span()) == COMPLETED
    assert raw.parse().choices[0].message.content == "Hello!"
    assert len(instrumented.spans(1)) == 1


async def test_an_async_raw_response(instrumented: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        async with async_client(server) as asynchronous:
            raw = await asynchronous.chat.completions.with_raw_response.create(**ARGUMENTS)
    assert raw.parse().id == "chatcmpl-1"
    assert attributes(instrumented.span()) == COMPLETED


def test_a_raw_stream_that_is_parsed(instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        raw = client(server).chat.completions.with_raw_response.create(**ARGUMENTS, stream=True)
        assert instrumented.spans(0) == []
        stream = raw.parse()
        assert type(stream) is openai.Stream
        assert [chunk.id for chunk in stream] == ["chatcmpl-1"] * 5
    span = instrumented.span()
    assert attributes(span) == STREAMED
    first_chunk = attribute(span, "gen_ai.response.time_to_first_chunk")
    assert 0 < first_chunk < attribute(span, "otel_genai.response.time_to_first_token")
    (gaps,) = instrumented.metrics()["gen_ai.client.operation.time_per_output_chunk"]
    assert gaps.count == 4


def by_parse(response: APIResponse[Any]) -> Any:
    return response.parse().choices[0].message.content


def by_json(response: APIResponse[Any]) -> Any:
    return response.json()["choices"][0]["message"]["content"]  # type: ignore[index]


def by_text(response: APIResponse[Any]) -> Any:
    return "Hello!" if "Hello!" in response.text() else None


def by_read(response: APIResponse[Any]) -> Any:
    return "Hello!" if b"Hello!" in response.read() else None


def by_lines(response: APIResponse[Any]) -> Any:
    return "Hello!" if "Hello!" in "".join(response.iter_lines()) else None


def by_bytes(response: APIResponse[Any]) -> Any:
    return "Hello!" if b"Hello!" in b"".join(response.iter_bytes(7)) else None


@pytest.mark.parametrize("read", [by_parse, by_json, by_text, by_read, by_lines, by_bytes])
def test_a_body_that_the_application_reads_in_its_own_way(
    instrumented: Recorded, read: Callable[[APIResponse[Any]], Any]
) -> None:
    with (
        scripted(Answer(completion())) as server,
        client(server).chat.completions.with_streaming_response.create(**ARGUMENTS) as response,
    ):
        assert type(response) is APIResponse
        assert instrumented.spans(0) == []
        assert read(response) == "Hello!"
    assert attributes(instrumented.span()) == COMPLETED
    assert instrumented.metrics().keys() == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}


def read_lines(response: APIResponse[Any]) -> int:
    return sum(line.startswith("data: {") for line in response.iter_lines())


def read_stream(response: APIResponse[Any]) -> int:
    return sum(1 for _ in response.parse())


def read_odd_pieces(response: APIResponse[Any]) -> int:
    return b"".join(response.iter_bytes(3)).count(b"data: {")


@pytest.mark.parametrize("read", [read_lines, read_stream, read_odd_pieces])
def test_a_raw_stream_that_the_application_reads_in_its_own_way(
    instrumented: Recorded, read: Callable[[APIResponse[Any]], int]
) -> None:
    with (
        scripted(Answer(events=HELLO)) as server,
        client(server).chat.completions.with_streaming_response.create(**ARGUMENTS, stream=True) as response,
    ):
        assert read(response) == 5
    assert attributes(instrumented.span()) == STREAMED


async def async_read_lines(response: Any) -> int:
    return sum([line.startswith("data: {") async for line in response.iter_lines()])


async def async_read_stream(response: Any) -> int:
    return sum([1 async for _ in await response.parse()])


@pytest.mark.parametrize("read", [async_read_lines, async_read_stream])
async def test_an_async_raw_stream(instrumented: Recorded, read: Callable[[Any], Awaitable[int]]) -> None:
    with scripted(Answer(events=HELLO)) as server:
        async with (
            async_client(server) as asynchronous,
            asynchronous.chat.completions.with_streaming_response.create(**ARGUMENTS, stream=True) as response,
        ):
            assert await read(response) == 5
    assert attributes(instrumented.span()) == STREAMED


async def test_an_async_body(instrumented: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        async with (
            async_client(server) as asynchronous,
            asynchronous.chat.completions.with_streaming_response.create(**ARGUMENTS) as response,
        ):
            assert (await response.parse()).id == "chatcmpl-1"
    assert attributes(instrumented.span()) == COMPLETED


def test_a_raw_response_that_is_closed_early_is_no_error(instrumented: Recorded) -> None:
    hold = threading.Event()
    with scripted(Answer(events=[*HELLO[:2], hold])) as server:
        with client(server).chat.completions.with_streaming_response.create(**ARGUMENTS, stream=True) as response:
            assert next(response.iter_lines()).startswith("data: ")
        hold.set()
    span = instrumented.span()
    assert span.status.status_code is StatusCode.UNSET
    assert attribute(span, "gen_ai.response.finish_reasons") == ("error",)


def test_a_raw_response_that_is_never_read_is_reported(instrumented: Recorded) -> None:
    with (
        scripted(Answer(completion())) as server,
        client(server).chat.completions.with_streaming_response.create(**ARGUMENTS),
    ):
        pass
    assert "gen_ai.usage.output_tokens" not in (instrumented.span().attributes or {})


def test_a_raw_response_that_was_read_has_no_shadowed_methods_left(instrumented: Recorded) -> None:
    with (
        scripted(Answer(completion())) as server,
        client(server).chat.completions.with_streaming_response.create(**ARGUMENTS) as response,
    ):
        response.read()
        http = response.http_response
    assert not {"iter_bytes", "aiter_bytes", "close", "aclose"} & vars(http).keys()
    assert pickle.loads(pickle.dumps(http)).status_code == 200


def test_a_raw_stream_that_is_dropped_is_reported(instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        raw = client(server).chat.completions.with_raw_response.create(**ARGUMENTS, stream=True)
        stream = raw.parse()
        next(stream)
        raw.http_response.close()
        del raw, stream
        gc.collect()
    assert instrumented.span().status.status_code is StatusCode.UNSET


async def test_raw_streams_side_by_side(instrumented: Recorded, model_server: str) -> None:
    async def request(asynchronous: openai.AsyncOpenAI) -> None:
        async with asynchronous.chat.completions.with_streaming_response.create(
            model="sim-small", messages=USER, stream=True, max_tokens=4, stream_options={"include_usage": True}
        ) as response:
            async for _ in response.iter_lines():
                pass

    async with async_client(model_server) as asynchronous:
        await asyncio.gather(*(request(asynchronous) for _ in range(10)))
    assert [attribute(span, "gen_ai.usage.output_tokens") for span in instrumented.spans(10)] == [4] * 10


@pytest.mark.usefixtures("_lenient")
def test_events_of_several_lines_and_events_that_are_no_json(instrumented: Recorded) -> None:
    # The scripted server writes `data: ` before each of these, and an empty line after it.
    in_two_lines = '{"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06",\r\ndata: "choices": []}'
    with scripted(Answer(events=[in_two_lines, "no json", *HELLO[1:]])) as server:
        raw = client(server).chat.completions.with_raw_response.create(**ARGUMENTS, stream=True)
        assert sum(line.startswith("data: ") for line in raw.http_response.iter_lines()) == 8
    assert attributes(instrumented.span()) == STREAMED
    (gaps,) = instrumented.metrics()["gen_ai.client.operation.time_per_output_chunk"]
    assert gaps.count == 4


def test_a_raw_response_that_is_dropped_unread_is_reported(instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        raw = client(server).chat.completions.with_raw_response.create(**ARGUMENTS, stream=True)
        del raw
        gc.collect()
        assert instrumented.span().status.status_code is StatusCode.UNSET
