"""The workloads: calls of the real OpenAI client, whose transport answers from memory.

A figure is the client with its instrumentation. Each workload runs its operation `count` times.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

# The client's HTTP library: httpx2 since openai 3.0, httpx before.
HTTP: Any = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
CHUNKS = 1000
"""Chunks of one stream: enough that the call itself adds a thousandth of its cost to each chunk."""
CONCURRENT = 100
CONCURRENT_CHUNKS = 100
QUESTION: list[Any] = [{"role": "user", "content": "Why is the sky blue? " * 10}]
USAGE = {"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Because. " * 20}, "finish_reason": "stop"}],
    "usage": USAGE,
}
VECTOR = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1] * 16}],
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}


def _chunk(**changes: Any) -> bytes:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06"}
    return b"data: " + json.dumps(chunk | changes).encode() + b"\n\n"


def _delta(**delta: Any) -> bytes:
    return _chunk(choices=[{"index": 0, "delta": delta, "finish_reason": None}])


WORD = _delta(content="word ")


def events(chunks: int) -> list[bytes]:
    """The body of a stream of so many chunks, an event apiece."""
    return [
        _delta(role="assistant", content=""),
        *[WORD] * (chunks - 3),
        _chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        _chunk(choices=[], usage=USAGE),
        b"data: [DONE]\n\n",
    ]


_STREAM = b"".join(events(CHUNKS))
_EVENTS = events(CONCURRENT_CHUNKS)
_STREAMED = {"content-type": "text/event-stream"}


class _Trickle(HTTP.AsyncByteStream):  # type: ignore[misc]
    """A body that lets other tasks run before each event."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in _EVENTS:
            await asyncio.sleep(0)
            yield event


class _Endless(HTTP.SyncByteStream):  # type: ignore[misc]
    """A body that is generated while it is read, so that it needs no memory."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield WORD


def _answer(request: Any) -> Any:
    if request.url.path.endswith("/embeddings"):
        return HTTP.Response(200, json=VECTOR)
    if json.loads(request.content).get("stream"):
        return HTTP.Response(200, headers=_STREAMED, content=_STREAM)
    return HTTP.Response(200, json=ANSWER)


def _trickle(_: Any) -> Any:
    return HTTP.Response(200, headers=_STREAMED, stream=_Trickle())


def _endless(_: Any) -> Any:
    return HTTP.Response(200, headers=_STREAMED, stream=_Endless())


def _client(answer: Callable[[Any], Any] = _answer) -> openai.OpenAI:
    return openai.OpenAI(api_key="sk", http_client=HTTP.Client(transport=HTTP.MockTransport(answer)))


def _async_client(answer: Callable[[Any], Any] = _answer) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="sk", http_client=HTTP.AsyncClient(transport=HTTP.MockTransport(answer)))


def _call(count: int) -> None:
    client = _client()
    for _ in range(count):
        client.chat.completions.create(model="gpt-4o", messages=QUESTION)


def _embeddings(count: int) -> None:
    client = _client()
    for _ in range(count):
        client.embeddings.create(model="text-embedding-3-small", input="word", encoding_format="float")


def _stream(count: int) -> None:
    client = _client()
    for _ in range(count):
        for _ in client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True):
            pass


async def _read(client: openai.AsyncOpenAI) -> None:
    async for _ in await client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True):
        pass


def _async_stream(count: int) -> None:
    async def run() -> None:
        client = _async_client()
        for _ in range(count):
            await _read(client)

    asyncio.run(run())


def _concurrent_streams(count: int) -> None:
    async def run() -> None:
        client = _async_client(_trickle)
        for _ in range(count):
            await asyncio.gather(*(_read(client) for _ in range(CONCURRENT)))

    asyncio.run(run())


@dataclass(frozen=True)
class Workload:
    """One workload."""

    title: str
    do: Callable[[int], None]
    """Runs the operation `count` times."""
    count: int
    """The number of timed operations: about half a second."""
    units: int = 1
    """Chunks of one operation; the figure is one chunk's share. 1 for calls that are not streamed."""


WORKLOADS = {
    "call": Workload("chat call", _call, 500),
    "stream": Workload("streamed chunk", _stream, 6, CHUNKS),
    "async-stream": Workload("streamed chunk, async", _async_stream, 6, CHUNKS),
    "100-streams": Workload("streamed chunk, 100 at a time", _concurrent_streams, 1, CONCURRENT * CONCURRENT_CHUNKS),
    "embeddings": Workload("embeddings call", _embeddings, 500),
}


def stream_of(chunks: int) -> None:
    """One streamed chat call of so many chunks, read to its end."""
    body = b"".join(events(chunks))
    client = _client(lambda _: HTTP.Response(200, headers=_STREAMED, content=body))
    for _ in client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True):
        pass


def endless_stream() -> Iterator[Any]:
    """Chunks for as long as they are asked for."""
    return iter(_client(_endless).chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True))
