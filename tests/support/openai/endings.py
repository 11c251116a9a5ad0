"""Ways in which a call of the client ends, and the telemetry that is expected then."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry.trace import StatusCode

from tests.support.openai.clients import BASIC, USER, attributes, client
from tests.support.openai.scripted_server import Answer, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import openai

    from tests.support.openai.scripted_server import ScriptedServer
    from tests.support.providers import Recorded

CALL: dict[str, Any] = {"model": "gpt-4o", "messages": USER}
STREAMED_CALL: dict[str, Any] = {**CALL, "stream": True}
CUT_SHORT = BASIC | {
    "gen_ai.request.stream": True,
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "openai.response.service_tier": "default",
    "openai.response.system_fingerprint": "fp_1",
    "gen_ai.response.finish_reasons": ("error",),
}
"""Attributes of a stream without finish reason and usage."""
UNREAD = BASIC | {"gen_ai.request.stream": True, "gen_ai.response.finish_reasons": ("error",)}
"""Attributes of a stream that was opened and never read."""
REFUSED = BASIC | {"gen_ai.request.stream": True}
"""Attributes of a stream that the server refused."""
CANCELLED = "asyncio.exceptions.CancelledError"
DETAILS, EXCEPTION = "gen_ai.client.inference.operation.details", "gen_ai.client.operation.exception"


@contextmanager
def unchanged() -> Iterator[None]:
    """Assert that the context afterwards is the same object as before."""
    before = otel_context.get_current()
    yield
    assert otel_context.get_current() is before


def assert_one_operation(
    recorded: Recorded, expected: dict[str, Any], error: str | None = None, summary: str | None = None
) -> None:
    """Assert that one span, one duration and one set of events report the same operation."""
    span = recorded.span()
    assert attributes(span) == expected | ({"error.type": error} if error else {})
    assert span.status.status_code is (StatusCode.ERROR if error else StatusCode.UNSET)
    assert span.status.description == summary
    (duration,) = recorded.metrics()["gen_ai.client.operation.duration"]
    assert (duration.count, duration.attributes.get("error.type")) == (1, error)
    events = [event.log_record.event_name for event in recorded.events()]
    assert events == ([DETAILS, EXCEPTION] if error else [DETAILS])


def open_stream(server: ScriptedServer) -> openai.Stream[Any]:
    stream: openai.Stream[Any] = client(server).chat.completions.create(**STREAMED_CALL)
    return stream


async def span_ended(recorded: Recorded) -> None:
    """Wait for the span; meanwhile the event loop closes the generators that were left."""
    await asyncio.to_thread(recorded.span)


@contextmanager
def stalling_server(events: Sequence[Any]) -> Iterator[ScriptedServer]:
    """A server that streams these events and then waits until the test is over."""
    hold = threading.Event()
    with scripted(Answer(events=[*events, hold])) as server:
        yield server
        hold.set()


@contextmanager
def unanswering_server() -> Iterator[tuple[str, Callable[[], None]]]:
    """A server that accepts one request and never answers: its URL, and a function that waits for the request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        connections: list[socket.socket] = []

        def accept_request() -> None:
            connection, _ = listener.accept()
            connection.settimeout(10)
            connections.append(connection)
            received = b""
            while b'"model"' not in received:
                received += connection.recv(65536)

        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", accept_request
        finally:
            for connection in connections:
                connection.close()
