"""One cell of the benchmark: one workload under one instrumentation, in a process of its own. Prints CPU microseconds an operation.

The client is the real one; its transport answers from memory, so that what is measured is the client and what was added to it.
Spans go through the SDK's batch processor to an exporter in memory, as they would to a collector.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import httpx2
import openai
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHUNKS = 200
CONCURRENT = 100
QUESTION: list[Any] = [{"role": "user", "content": "Why is the sky blue? " * 10}]
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Because. " * 20}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100},
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


STREAM = b"".join(
    [
        _delta(role="assistant", content=""),
        *[_delta(content="word ")] * (CHUNKS - 3),
        _chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        _chunk(choices=[], usage=ANSWER["usage"]),
        b"data: [DONE]\n\n",
    ]
)


def answer(request: httpx2.Request) -> httpx2.Response:
    """What the transport answers."""
    asked = json.loads(request.content)
    if request.url.path.endswith("/embeddings"):
        return httpx2.Response(200, json=VECTOR)
    if asked.get("stream"):
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=STREAM)
    return httpx2.Response(200, json=ANSWER)


def sync_client() -> openai.OpenAI:
    """A client that never leaves the process."""
    return openai.OpenAI(api_key="sk", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))


def async_client() -> openai.AsyncOpenAI:
    """The same for asyncio."""
    return openai.AsyncOpenAI(api_key="sk", http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)))


# ── workloads: each does its operation `count` times; `per` says how many of what is measured one operation holds ──────


def call(count: int) -> None:
    """Chat calls that are not streamed."""
    client = sync_client()
    for _ in range(count):
        client.chat.completions.create(model="gpt-4o", messages=QUESTION)


def embeddings(count: int) -> None:
    """Embeddings of one text."""
    client = sync_client()
    for _ in range(count):
        client.embeddings.create(model="text-embedding-3-small", input="word", encoding_format="float")


def stream(count: int) -> None:
    """Streamed chat calls, read to their end."""
    client = sync_client()
    for _ in range(count):
        for _ in client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True):
            pass


async def _read(client: openai.AsyncOpenAI) -> None:
    async for _ in await client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True):
        pass


def async_stream(count: int) -> None:
    """Streamed chat calls under asyncio, one after the other."""

    async def run() -> None:
        client = async_client()
        for _ in range(count):
            await _read(client)

    asyncio.run(run())


def concurrent_streams(count: int) -> None:
    """Streamed chat calls under asyncio, a hundred at a time."""

    async def run() -> None:
        client = async_client()
        running: list[Awaitable[None]] = [_read(client) for _ in range(count)]
        for start in range(0, count, CONCURRENT):
            await asyncio.gather(*running[start : start + CONCURRENT])

    asyncio.run(run())


WORKLOADS: dict[str, tuple[Callable[[int], None], int, int]] = {
    # name: (what it does, operations measured, units an operation)
    "call": (call, 600, 1),
    "embeddings": (embeddings, 600, 1),
    "stream": (stream, 15, CHUNKS),
    "async stream": (async_stream, 15, CHUNKS),
    "100 streams": (concurrent_streams, 100, CHUNKS),
}


# ── instrumentations ───────────────────────────────────────────────────────────────────────────────────────────────────


def providers(*, sampled: bool) -> dict[str, Any]:
    """A real SDK, with everything kept in memory."""
    tracers = TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    loggers = LoggerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(BatchLogRecordProcessor(InMemoryLogRecordExporter()))  # type: ignore[no-untyped-call]
    meters = MeterProvider(metric_readers=[InMemoryMetricReader()], shutdown_on_exit=False)
    return {"tracer_provider": tracers, "meter_provider": meters, "logger_provider": loggers}


def instrument(variant: str) -> None:
    """Switch on what is to be measured."""
    if variant == "bare":
        return
    import otel_genai

    otel_genai.instrument(**providers(sampled=variant != "not sampled"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("variant", choices=["bare", "ours", "not sampled"])
    chosen = parser.parse_args()
    work, count, units = WORKLOADS[chosen.workload]
    instrument(chosen.variant)
    work(max(count // 10, 3))
    started = time.process_time()
    work(count)
    print((time.process_time() - started) / (count * units) * 1e6)


if __name__ == "__main__":
    main()
