"""Calls that are cancelled or interrupted: one span, ended once, and the context as it was before."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.openai.clients import BASIC, async_client, client
from tests.support.openai.endings import (
    CALL,
    CANCELLED,
    CUT_SHORT,
    REFUSED,
    STREAMED_CALL,
    assert_one_operation,
    open_stream,
    span_ended,
    stalling_server,
    unanswering_server,
    unchanged,
)
from tests.support.openai.scripted_server import HELLO, Answer, scripted

if TYPE_CHECKING:
    import openai

    from tests.support.providers import Recorded


async def test_a_task_cancelled_before_the_response_headers(with_events: Recorded) -> None:
    with unanswering_server() as (url, accept_request), unchanged():
        async with async_client(url) as asynchronous:
            task = asyncio.create_task(asynchronous.chat.completions.create(**STREAMED_CALL))
            await asyncio.to_thread(accept_request)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert_one_operation(with_events, REFUSED, CANCELLED, "CancelledError")


async def test_a_task_cancelled_while_it_waits_for_a_chunk(with_events: Recorded) -> None:
    waiting = asyncio.Event()

    async def consume(asynchronous: openai.AsyncOpenAI) -> None:
        stream = await asynchronous.chat.completions.create(**STREAMED_CALL)
        assert [(await anext(stream)).id, (await anext(stream)).id] == ["chatcmpl-1"] * 2
        waiting.set()
        await anext(stream)

    with stalling_server(HELLO[:2]) as server, unchanged():
        async with async_client(server) as asynchronous:
            task = asyncio.create_task(consume(asynchronous))
            await waiting.wait()  # set without a yield before the wait for the third chunk
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert_one_operation(with_events, CUT_SHORT, CANCELLED, "CancelledError")


@pytest.mark.parametrize("keep", [True, False])
async def test_a_task_cancelled_between_two_chunks_is_an_early_stop(with_events: Recorded, keep: bool) -> None:
    waiting = asyncio.Event()
    references: list[Any] = []

    async def consume(asynchronous: openai.AsyncOpenAI) -> None:
        stream = await asynchronous.chat.completions.create(**STREAMED_CALL)
        references.extend([stream] if keep else [])
        async for _ in stream:
            with unchanged():
                waiting.set()
                await asyncio.Event().wait()

    with stalling_server(HELLO[:2]) as server, unchanged():
        async with async_client(server) as asynchronous:
            task = asyncio.create_task(consume(asynchronous))
            await waiting.wait()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            del task
            await span_ended(with_events)
            assert_one_operation(with_events, CUT_SHORT)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals to a thread are POSIX only")
def test_ctrl_c_while_the_client_waits_for_a_response(with_events: Recorded) -> None:
    with unanswering_server() as (url, accept_request), unchanged():

        def interrupt() -> None:
            accept_request()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        with pytest.raises(KeyboardInterrupt):
            client(url).chat.completions.create(**CALL)
        interrupter.join()
    assert_one_operation(with_events, BASIC, "KeyboardInterrupt", "KeyboardInterrupt")


def test_an_interruption_while_the_client_waits_for_a_chunk(with_events: Recorded) -> None:
    def interrupt() -> Any:
        raise KeyboardInterrupt

    with scripted(Answer(events=HELLO)) as server, unchanged():
        stream = open_stream(server)
        next(stream)
        stream._iterator = iter(interrupt, None)
        with pytest.raises(KeyboardInterrupt):
            list(stream)
        stream.close()
    assert_one_operation(with_events, CUT_SHORT, "KeyboardInterrupt", "KeyboardInterrupt")
