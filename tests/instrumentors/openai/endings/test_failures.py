"""Calls and streams that fail, sync and async: one span, ended once, with the error."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.support.openai.clients import BASIC, BROKEN, COMPLETED, STALLED, async_client, client, error_type
from tests.support.openai.endings import (
    CALL,
    CUT_SHORT,
    REFUSED,
    STREAMED_CALL,
    UNREAD,
    assert_one_operation,
    open_stream,
    unanswering_server,
    unchanged,
)
from tests.support.openai.scripted_server import CUT, HELLO, Answer, completion, scripted

if TYPE_CHECKING:
    from tests.support.providers import Recorded


OVERLOADED = {"error": {"message": "secret prompt overloaded", "type": "server_error", "code": "overloaded"}}
BROKEN_IN_MID_STREAM = [
    ([*HELLO[:2], CUT], BROKEN, error_type(BROKEN), BROKEN.__name__),
    ([*HELLO[:2], OVERLOADED], openai.APIError, "openai.APIError", "APIError overloaded"),
    ([*HELLO[:2], '{"id": "chatcmpl-1", "cho'], ValueError, "json.decoder.JSONDecodeError", "JSONDecodeError"),
]


@pytest.mark.parametrize(("events", "error", "kind", "summary"), BROKEN_IN_MID_STREAM, ids=["cut", "error", "no JSON"])
def test_a_stream_that_breaks(
    with_events: Recorded, events: list[Any], error: type[Exception], kind: str, summary: str
) -> None:
    with scripted(Answer(events=events)) as server, unchanged():
        stream = open_stream(server)
        assert [next(stream).id, next(stream).id] == ["chatcmpl-1"] * 2
        with pytest.raises(error):
            next(stream)
        stream.close()
    assert_one_operation(with_events, CUT_SHORT, kind, summary)


@pytest.mark.parametrize(("events", "error", "kind", "summary"), BROKEN_IN_MID_STREAM, ids=["cut", "error", "no JSON"])
async def test_an_async_stream_that_breaks(
    with_events: Recorded, events: list[Any], error: type[Exception], kind: str, summary: str
) -> None:
    with scripted(Answer(events=events)) as server, unchanged():
        async with async_client(server) as asynchronous:
            stream = await asynchronous.chat.completions.create(**STREAMED_CALL)
            with pytest.raises(error):
                async for _ in stream:
                    pass
    assert_one_operation(with_events, CUT_SHORT, kind, summary)


def test_a_stream_that_stalls_until_the_client_times_out(with_events: Recorded) -> None:
    hold = threading.Event()
    with scripted(Answer(events=[*HELLO[:2], hold])) as server, unchanged():
        stream = client(server, timeout=0.2).chat.completions.create(**STREAMED_CALL)
        with pytest.raises(STALLED):
            list(stream)
        hold.set()
    assert_one_operation(with_events, CUT_SHORT, error_type(STALLED), STALLED.__name__)


@pytest.mark.parametrize("arguments", [CALL, STREAMED_CALL], ids=["whole", "stream"])
def test_a_call_that_times_out(with_events: Recorded, arguments: dict[str, Any]) -> None:
    with unanswering_server() as (url, _), unchanged(), pytest.raises(openai.APITimeoutError):
        client(url, timeout=0.1).chat.completions.create(**arguments)
    expected = REFUSED if "stream" in arguments else BASIC
    assert_one_operation(with_events, expected, "openai.APITimeoutError", "APITimeoutError")


async def test_an_async_call_that_times_out(with_events: Recorded) -> None:
    with unanswering_server() as (url, _), unchanged():
        async with async_client(url, timeout=0.1) as asynchronous:
            with pytest.raises(openai.APITimeoutError):
                await asynchronous.chat.completions.create(**CALL)
    assert_one_operation(with_events, BASIC, "openai.APITimeoutError", "APITimeoutError")


@pytest.mark.parametrize(
    ("status", "name"), [(404, "NotFoundError"), (429, "RateLimitError"), (503, "InternalServerError")]
)
async def test_an_async_call_that_the_server_refuses(with_events: Recorded, status: int, name: str) -> None:
    with scripted(Answer({"error": {"code": "no_luck"}}, status=status)) as server, unchanged():
        async with async_client(server) as asynchronous:
            with pytest.raises(openai.APIStatusError) as caught:
                await asynchronous.chat.completions.create(**STREAMED_CALL)
    assert type(caught.value).__name__ == name
    assert_one_operation(with_events, REFUSED, f"openai.{name}", f"{name} {status} no_luck")


async def test_an_async_call_to_a_server_that_is_not_there(with_events: Recorded) -> None:
    with scripted(Answer()) as server:
        url = server.url
    with unchanged():
        async with async_client(url) as asynchronous:
            with pytest.raises(openai.APIConnectionError):
                await asynchronous.chat.completions.create(**CALL)
    assert_one_operation(with_events, BASIC, "openai.APIConnectionError", "APIConnectionError")


async def test_async_retries_are_one_span(with_events: Recorded) -> None:
    busy = Answer({"error": {"message": "busy"}}, status=503, headers={"retry-after-ms": "1"})
    with scripted(busy, busy, Answer(completion())) as server, unchanged():
        async with async_client(server, max_retries=2) as asynchronous:
            await asynchronous.chat.completions.create(**CALL)
        assert len(server.received) == 3
    assert_one_operation(with_events, COMPLETED)


def test_retries_in_vain_are_one_error(with_events: Recorded) -> None:
    busy = Answer({"error": {"code": "busy"}}, status=429, headers={"retry-after-ms": "1"})
    with scripted(busy) as server, unchanged():
        with pytest.raises(openai.RateLimitError):
            client(server, max_retries=2).chat.completions.create(**STREAMED_CALL)
        assert len(server.received) == 3
    assert_one_operation(with_events, REFUSED, "openai.RateLimitError", "RateLimitError 429 busy")


async def test_two_tasks_that_read_at_once_keep_their_contexts(with_events: Recorded) -> None:
    hold = threading.Event()

    async def read(stream: Any) -> str:
        with unchanged():
            return str((await anext(stream)).id)

    with scripted(Answer(events=[hold, *HELLO])) as server, unchanged():
        async with async_client(server) as asynchronous:
            stream = await asynchronous.chat.completions.create(**STREAMED_CALL)
            first, second = asyncio.create_task(read(stream)), asyncio.create_task(read(stream))
            with pytest.raises(RuntimeError, match="already running"):
                await second
            hold.set()
            assert await first == "chatcmpl-1"
            await stream.close()
    assert_one_operation(with_events, UNREAD, "RuntimeError", "RuntimeError")
