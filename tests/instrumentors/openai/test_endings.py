"""Every way in which a call of the real client can end, sync and async: one span, ended once, and the context as it was before."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry import context as otel_context
from opentelemetry.trace import StatusCode

import otel_genai
from tests.support.openai.clients import BASIC, COMPLETED, STREAMED, USER, async_client, attributes, client
from tests.support.openai.scripted_server import CUT, HELLO, Answer, completion, scripted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.support.openai.scripted_server import ScriptedServer
    from tests.support.providers import Recorded

ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": USER}
STREAMING: dict[str, Any] = {**ASKED, "stream": True}

CUT_SHORT = BASIC | {
    "gen_ai.request.stream": True,
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "openai.response.service_tier": "default",
    "openai.response.system_fingerprint": "fp_1",
    "gen_ai.response.finish_reasons": ("error",),
}
"""Of a stream that began, and of which neither finish reason nor usage arrived."""
NEVER_BEGAN = BASIC | {"gen_ai.request.stream": True, "gen_ai.response.finish_reasons": ("error",)}
"""Of a stream that was opened and of which nothing was read."""
REFUSED = BASIC | {"gen_ai.request.stream": True}
"""Of a stream that was never opened."""
CANCELLED = "asyncio.exceptions.CancelledError"
DETAILS, EXCEPTION = "gen_ai.client.inference.operation.details", "gen_ai.client.operation.exception"


@pytest.fixture
def telling(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """Everything instrumented, with an event for every operation."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "true")
    otel_genai.instrument(**recorded.providers)
    yield recorded
    otel_genai.uninstrument()


@pytest.fixture(autouse=True)
def _nothing_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """OpenTelemetry logs a context that is detached elsewhere than it was attached."""
    yield
    # The client itself has asyncio log generators that are left half-read, instrumented or not.
    records = [*caplog.get_records("call"), *caplog.records]
    assert [record for record in records if record.name.startswith(("opentelemetry", "otel_genai"))] == []


@contextmanager
def unchanged() -> Iterator[None]:
    """The context afterwards is the very one from before."""
    before = otel_context.get_current()
    yield
    assert otel_context.get_current() is before


def ended(recorded: Recorded, expected: dict[str, Any], error: str | None = None, summary: str | None = None) -> None:
    """One span, one duration and the events of one operation, all of which tell the same story."""
    span = recorded.span()
    assert attributes(span) == expected | ({"error.type": error} if error else {})
    assert span.status.status_code is (StatusCode.ERROR if error else StatusCode.UNSET)
    assert span.status.description == summary
    (duration,) = recorded.metrics()["gen_ai.client.operation.duration"]
    assert (duration.count, duration.attributes.get("error.type")) == (1, error)
    told = [event.log_record.event_name for event in recorded.events()]
    assert told == ([DETAILS, EXCEPTION] if error else [DETAILS])


# ── streams that the application ends ──────────────────────────────────────────────────────────────────────────────────


def open_stream(server: ScriptedServer) -> openai.Stream[Any]:
    stream: openai.Stream[Any] = client(server).chat.completions.create(**STREAMING)
    return stream


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
        pytest.param(1, lambda stream: stream.response.close(), CUT_SHORT, id="close the response beneath"),
        pytest.param(1, lambda stream: in_a_thread(stream.close), CUT_SHORT, id="close in another thread"),
        pytest.param(0, lambda stream: stream.close(), NEVER_BEGAN, id="close unread"),
    ],
)
def test_however_the_application_ends_a_stream_that_it_keeps_it_is_no_error(
    telling: Recorded, read: int, end: Callable[[Any], Any], expected: dict[str, Any]
) -> None:
    with scripted(Answer(events=HELLO)) as server, unchanged():
        stream = open_stream(server)
        assert [next(stream).id for _ in range(read)] == ["chatcmpl-1"] * read
        end(stream)
        ended(telling, expected)
        stream.close()
        del stream
        gc.collect()
    assert len(telling.spans(1)) == 1, "it ended once"


def test_break_out_of_a_stream_that_nobody_keeps(telling: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server, unchanged():
        for _ in open_stream(server):
            break
        ended(telling, CUT_SHORT)


def test_a_stream_that_is_dropped_unread(telling: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server, unchanged():
        open_stream(server)
        ended(telling, NEVER_BEGAN)


def test_a_stream_in_a_cycle_of_garbage(telling: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server, unchanged():
        holder: dict[str, Any] = {"stream": open_stream(server)}
        holder["self"] = holder
        next(holder["stream"])
        del holder
        gc.collect()
        ended(telling, CUT_SHORT)


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
        pytest.param(1, lambda stream: stream.response.aclose(), CUT_SHORT, id="close the response beneath"),
        pytest.param(1, lambda stream: asyncio.create_task(stream.close()), CUT_SHORT, id="close in another task"),
        pytest.param(0, lambda stream: stream.close(), NEVER_BEGAN, id="close unread"),
    ],
)
async def test_however_the_application_ends_an_async_stream_that_it_keeps_it_is_no_error(
    telling: Recorded, read: int, end: Callable[[Any], Awaitable[None]], expected: dict[str, Any]
) -> None:
    with scripted(Answer(events=HELLO)) as server, unchanged():
        async with async_client(server) as asynchronous:
            stream = await asynchronous.chat.completions.create(**STREAMING)
            assert [(await anext(stream)).id for _ in range(read)] == ["chatcmpl-1"] * read
            await end(stream)
            await settle(telling)
            ended(telling, expected)
            await stream.close()
            del stream
    assert len(telling.spans(1)) == 1, "it ended once"


async def settle(recorded: Recorded) -> None:
    """Wait for the span, and let the event loop close the generators that were left, meanwhile."""
    await asyncio.to_thread(recorded.span)


async def test_an_async_stream_that_nobody_keeps(telling: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server, unchanged():
        async with async_client(server) as asynchronous:
            async for _ in await asynchronous.chat.completions.create(**STREAMING):
                break
            await settle(telling)
    ended(telling, CUT_SHORT)


OPEN_AT_EXIT = """
import sys
import openai, otel_genai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
provider = TracerProvider()
tell = lambda span: f"{span.name} {span.status.status_code.name} {span.attributes['gen_ai.response.finish_reasons']}"
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=tell)))
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


# ── streams that fail ──────────────────────────────────────────────────────────────────────────────────────────────────

OVERLOADED = {"error": {"message": "secret prompt overloaded", "type": "server_error", "code": "overloaded"}}
HTTP: Any = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
# Since 3.0 the client turns what its HTTP client raises in mid-stream into errors of its own.
OWN_ERRORS = int(openai.__version__.partition(".")[0]) >= 3
BROKEN: type[Exception] = openai.APIConnectionError if OWN_ERRORS else HTTP.RemoteProtocolError
STALLED: type[Exception] = openai.APITimeoutError if OWN_ERRORS else HTTP.ReadTimeout
BROKEN_IN_MID_STREAM = [
    ([*HELLO[:2], CUT], BROKEN, f"{BROKEN.__module__}.{BROKEN.__name__}", BROKEN.__name__),
    ([*HELLO[:2], OVERLOADED], openai.APIError, "openai.APIError", "APIError overloaded"),
    ([*HELLO[:2], '{"id": "chatcmpl-1", "cho'], ValueError, "json.decoder.JSONDecodeError", "JSONDecodeError"),
]


@pytest.mark.parametrize(("events", "error", "kind", "summary"), BROKEN_IN_MID_STREAM, ids=["cut", "error", "no JSON"])
def test_a_stream_that_breaks(
    telling: Recorded, events: list[Any], error: type[Exception], kind: str, summary: str
) -> None:
    with scripted(Answer(events=events)) as server, unchanged():
        stream = open_stream(server)
        assert [next(stream).id, next(stream).id] == ["chatcmpl-1"] * 2
        with pytest.raises(error):
            next(stream)
        stream.close()
    ended(telling, CUT_SHORT, kind, summary)


@pytest.mark.parametrize(("events", "error", "kind", "summary"), BROKEN_IN_MID_STREAM, ids=["cut", "error", "no JSON"])
async def test_an_async_stream_that_breaks(
    telling: Recorded, events: list[Any], error: type[Exception], kind: str, summary: str
) -> None:
    with scripted(Answer(events=events)) as server, unchanged():
        async with async_client(server) as asynchronous:
            stream = await asynchronous.chat.completions.create(**STREAMING)
            with pytest.raises(error):
                async for _ in stream:
                    pass
    ended(telling, CUT_SHORT, kind, summary)


def test_a_stream_that_stalls_until_the_clients_patience_ends(telling: Recorded) -> None:
    hold = threading.Event()
    with scripted(Answer(events=[*HELLO[:2], hold])) as server, unchanged():
        stream = client(server, timeout=0.2).chat.completions.create(**STREAMING)
        with pytest.raises(STALLED):
            list(stream)
        hold.set()
    ended(telling, CUT_SHORT, f"{STALLED.__module__}.{STALLED.__name__}", STALLED.__name__)


# ── calls that fail before there is an answer ──────────────────────────────────────────────────────────────────────────


@contextmanager
def silent() -> Iterator[tuple[str, Callable[[], None]]]:
    """A server that takes one request and never answers, and a way to wait until it has the request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        taken: list[socket.socket] = []

        def take() -> None:
            connection, _ = listener.accept()
            connection.settimeout(10)
            taken.append(connection)
            received = b""
            while b'"model"' not in received:
                received += connection.recv(65536)

        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", take
        finally:
            for connection in taken:
                connection.close()


@pytest.mark.parametrize("asked", [ASKED, STREAMING], ids=["whole", "stream"])
def test_a_call_that_times_out(telling: Recorded, asked: dict[str, Any]) -> None:
    with silent() as (url, _), unchanged(), pytest.raises(openai.APITimeoutError):
        client(url, timeout=0.1).chat.completions.create(**asked)
    expected = REFUSED if "stream" in asked else BASIC
    ended(telling, expected, "openai.APITimeoutError", "APITimeoutError")


async def test_an_async_call_that_times_out(telling: Recorded) -> None:
    with silent() as (url, _), unchanged():
        async with async_client(url, timeout=0.1) as asynchronous:
            with pytest.raises(openai.APITimeoutError):
                await asynchronous.chat.completions.create(**ASKED)
    ended(telling, BASIC, "openai.APITimeoutError", "APITimeoutError")


@pytest.mark.parametrize(
    ("status", "name"), [(404, "NotFoundError"), (429, "RateLimitError"), (503, "InternalServerError")]
)
async def test_an_async_call_that_the_server_refuses(telling: Recorded, status: int, name: str) -> None:
    with scripted(Answer({"error": {"code": "no_luck"}}, status=status)) as server, unchanged():
        async with async_client(server) as asynchronous:
            with pytest.raises(openai.APIStatusError) as caught:
                await asynchronous.chat.completions.create(**STREAMING)
    assert type(caught.value).__name__ == name
    ended(telling, REFUSED, f"openai.{name}", f"{name} {status} no_luck")


async def test_an_async_call_to_a_server_that_is_not_there(telling: Recorded) -> None:
    with scripted(Answer()) as server:
        url = server.url
    with unchanged():
        async with async_client(url) as asynchronous:
            with pytest.raises(openai.APIConnectionError):
                await asynchronous.chat.completions.create(**ASKED)
    ended(telling, BASIC, "openai.APIConnectionError", "APIConnectionError")


async def test_async_retries_are_one_span(telling: Recorded) -> None:
    busy = Answer({"error": {"message": "busy"}}, status=503, headers={"retry-after-ms": "1"})
    with scripted(busy, busy, Answer(completion())) as server, unchanged():
        async with async_client(server, max_retries=2) as asynchronous:
            await asynchronous.chat.completions.create(**ASKED)
        assert len(server.received) == 3
    ended(telling, COMPLETED)


def test_retries_in_vain_are_one_error(telling: Recorded) -> None:
    busy = Answer({"error": {"code": "busy"}}, status=429, headers={"retry-after-ms": "1"})
    with scripted(busy) as server, unchanged():
        with pytest.raises(openai.RateLimitError):
            client(server, max_retries=2).chat.completions.create(**STREAMING)
        assert len(server.received) == 3
    ended(telling, REFUSED, "openai.RateLimitError", "RateLimitError 429 busy")


async def test_two_tasks_that_read_at_once_each_get_their_context_back(telling: Recorded) -> None:
    hold = threading.Event()

    async def read(stream: Any) -> str:
        with unchanged():
            return str((await anext(stream)).id)

    with scripted(Answer(events=[hold, *HELLO])) as server, unchanged():
        async with async_client(server) as asynchronous:
            stream = await asynchronous.chat.completions.create(**STREAMING)
            first, second = asyncio.create_task(read(stream)), asyncio.create_task(read(stream))
            with pytest.raises(RuntimeError, match="already running"):
                await second
            hold.set()
            assert await first == "chatcmpl-1"
            await stream.close()
    ended(telling, NEVER_BEGAN, "RuntimeError", "RuntimeError")


# ── cancelled and interrupted ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_task_cancelled_before_the_headers_came(telling: Recorded) -> None:
    with silent() as (url, take), unchanged():
        async with async_client(url) as asynchronous:
            task = asyncio.create_task(asynchronous.chat.completions.create(**STREAMING))
            await asyncio.to_thread(take)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    ended(telling, REFUSED, CANCELLED, "CancelledError")


@contextmanager
def stalling() -> Iterator[ScriptedServer]:
    """A server that says two chunks and then waits until the test is over."""
    hold = threading.Event()
    with scripted(Answer(events=[*HELLO[:2], hold])) as server:
        yield server
        hold.set()


async def test_a_task_cancelled_while_it_waits_for_a_chunk(telling: Recorded) -> None:
    waiting = asyncio.Event()

    async def consume(asynchronous: openai.AsyncOpenAI) -> None:
        stream = await asynchronous.chat.completions.create(**STREAMING)
        assert [(await anext(stream)).id, (await anext(stream)).id] == ["chatcmpl-1"] * 2
        waiting.set()
        await anext(stream)

    with stalling() as server, unchanged():
        async with async_client(server) as asynchronous:
            task = asyncio.create_task(consume(asynchronous))
            await waiting.wait()  # and then the task goes on to wait for its third chunk: it did not yield in between
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    ended(telling, CUT_SHORT, CANCELLED, "CancelledError")


@pytest.mark.parametrize("keep", [True, False])
async def test_a_task_cancelled_between_two_chunks_is_an_early_stop(telling: Recorded, keep: bool) -> None:
    waiting = asyncio.Event()
    kept: list[Any] = []

    async def consume(asynchronous: openai.AsyncOpenAI) -> None:
        stream = await asynchronous.chat.completions.create(**STREAMING)
        kept.extend([stream] if keep else [])
        async for _ in stream:
            with unchanged():
                waiting.set()
                await asyncio.Event().wait()

    with stalling() as server, unchanged():
        async with async_client(server) as asynchronous:
            task = asyncio.create_task(consume(asynchronous))
            await waiting.wait()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            del task
            await settle(telling)
            ended(telling, CUT_SHORT)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals to a thread are POSIX's")
def test_ctrl_c_while_the_library_waits_for_an_answer(telling: Recorded) -> None:
    with silent() as (url, take), unchanged():

        def interrupt() -> None:
            take()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        with pytest.raises(KeyboardInterrupt):
            client(url).chat.completions.create(**ASKED)
        interrupter.join()
    ended(telling, BASIC, "KeyboardInterrupt", "KeyboardInterrupt")


def test_an_interruption_while_the_library_waits_for_a_chunk(telling: Recorded) -> None:
    def interrupt() -> Any:
        raise KeyboardInterrupt

    with scripted(Answer(events=HELLO)) as server, unchanged():
        stream = open_stream(server)
        next(stream)
        stream._iterator = iter(interrupt, None)
        with pytest.raises(KeyboardInterrupt):
            list(stream)
        stream.close()
    ended(telling, CUT_SHORT, "KeyboardInterrupt", "KeyboardInterrupt")
