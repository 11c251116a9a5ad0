"""Streams that the application ends, sync and async: one span, ended once, without an error."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.openai.clients import STREAMED, async_client
from tests.support.openai.endings import (
    CUT_SHORT,
    STREAMED_CALL,
    UNREAD,
    assert_one_operation,
    open_stream,
    span_ended,
    unchanged,
)
from tests.support.openai.scripted_server import HELLO, Answer, scripted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.providers import Recorded


def in_a_thread(function: Callable[..., Any], *arguments: Any) -> None:
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    thread.join()


def leave_by_break(stream: Any) -> None:
    for _ in stream:
        with unchanged():
            break


def leave_by_error(stream: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        for _ in stream:
            1 / 0  # noqa: B018


def leave_with(stream: Any) -> None:
    with stream:
        pass


def leave_with_by_ctrl_c(stream: Any) -> None:
    with pytest.raises(KeyboardInterrupt), stream:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("read", "end", "expected"),
    [
        pytest.param(0, list, STREAMED, id="read to its end"),
        pytest.param(0, lambda stream: in_a_thread(list, stream), STREAMED, id="read in another thread"),
        pytest.param(0, leave_by_break, CUT_SHORT, id="break"),
        pytest.param(1, leave_by_error, CUT_SHORT, id="error in the loop"),
        pytest.param(1, leave_with, CUT_SHORT, id="with"),
        pytest.param(1, leave_with_by_ctrl_c, CUT_SHORT, id="Ctrl-C in with"),
        pytest.param(1, lambda stream: stream.close(), CUT_SHORT, id="close"),
        pytest.param(1, lambda stream: stream.response.close(), CUT_SHORT, id="close the HTTP response"),
        pytest.param(1, lambda stream: in_a_thread(stream.close), CUT_SHORT, id="close in another thread"),
        pytest.param(0, lambda stream: stream.close(), UNREAD, id="close unread"),
    ],
)
def test_an_early_stop_by_the_application_is_no_error(
    with_events: Recorded, read: int, end: Callable[[Any], Any], expected: dict[str, Any]
) -> None:
    with scripted(Answer(events=HELLO)) as server, unchanged():
        stream = open_stream(server)
        assert [next(stream).id for _ in range(read)] == ["chatcmpl-1"] * read
        end(stream)
        assert_one_operation(with_events, expected)
        stream.close()
        del stream
        gc.collect()
    assert len(with_events.spans(1)) == 1, "the span ended once"


def test_break_out_of_a_stream_without_a_reference(with_events: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server, unchanged():
        for _ in open_stream(server):
            break
        assert_one_operation(with_events, CUT_SHORT)


def test_a_stream_that_is_dropped_unread(with_events: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server, unchanged():
        open_stream(server)
        assert_one_operation(with_events, UNREAD)


def test_a_stream_in_a_cycle_of_garbage(with_events: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server, unchanged():
        holder: dict[str, Any] = {"stream": open_stream(server)}
        holder["self"] = holder
        next(holder["stream"])
        del holder
        gc.collect()
        assert_one_operation(with_events, CUT_SHORT)


async def async_read(stream: Any) -> None:
    with unchanged():
        assert [chunk.id async for chunk in stream] == ["chatcmpl-1"] * 5


async def async_leave_by_break(stream: Any) -> None:
    async for _ in stream:
        with unchanged():
            break


async def async_leave_by_error(stream: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        async for _ in stream:
            1 / 0  # noqa: B018


async def async_leave_with(stream: Any) -> None:
    async with stream:
        await asyncio.create_task(anext(stream))


@pytest.mark.parametrize(
    ("read", "end", "expected"),
    [
        pytest.param(0, async_read, STREAMED, id="read to its end"),
        pytest.param(0, lambda stream: asyncio.create_task(async_read(stream)), STREAMED, id="read in another task"),
        pytest.param(0, async_leave_by_break, CUT_SHORT, id="break"),
        pytest.param(1, async_leave_by_error, CUT_SHORT, id="error in the loop"),
        pytest.param(0, async_leave_with, CUT_SHORT, id="with"),
        pytest.param(1, lambda stream: stream.close(), CUT_SHORT, id="close"),
        pytest.param(1, lambda stream: stream.response.aclose(), CUT_SHORT, id="close the HTTP response"),
        pytest.param(1, lambda stream: asyncio.create_task(stream.close()), CUT_SHORT, id="close in another task"),
        pytest.param(0, lambda stream: stream.close(), UNREAD, id="close unread"),
    ],
)
async def test_an_early_stop_of_an_async_stream_is_no_error(
    with_events: Recorded, read: int, end: Callable[[Any], Awaitable[None]], expected: dict[str, Any]
) -> None:
    with scripted(Answer(events=HELLO)) as server, unchanged():
        async with async_client(server) as asynchronous:
            stream = await asynchronous.chat.completions.create(**STREAMED_CALL)
            assert [(await anext(stream)).id for _ in range(read)] == ["chatcmpl-1"] * read
            await end(stream)
            await span_ended(with_events)
            assert_one_operation(with_events, expected)
            await stream.close()
            del stream
    assert len(with_events.spans(1)) == 1, "the span ended once"


async def test_break_out_of_an_async_stream_without_a_reference(with_events: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server, unchanged():
        async with async_client(server) as asynchronous:
            async for _ in await asynchronous.chat.completions.create(**STREAMED_CALL):
                break
            await span_ended(with_events)
    assert_one_operation(with_events, CUT_SHORT)


OPEN_AT_EXIT = """
import sys
import openai, otel_genai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
provider = TracerProvider()
line = lambda span: f"{span.name} {span.status.status_code.name} {span.attributes['gen_ai.response.finish_reasons']}"
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=line)))
otel_genai.instrument(tracer_provider=provider)
client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-secret")
stream = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True)
next(stream)
"""


def test_a_stream_that_is_open_at_interpreter_exit_is_exported() -> None:
    hold = threading.Event()
    with scripted(Answer(events=[*HELLO[:2], hold])) as server:
        done = subprocess.run(
            [sys.executable, "-c", OPEN_AT_EXIT, server.url], capture_output=True, text=True, check=False
        )
        hold.set()
    assert (done.stdout, done.stderr) == ("chat gpt-4o UNSET ('error',)", "")
