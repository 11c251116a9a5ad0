"""Sends a response over HTTP: as one JSON body, or as server-sent events. A client that disconnects stops its generation in both cases."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Protocol

from starlette.responses import Response, StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

    from starlette.requests import Request

    from otel_genai.simulator.engine.inference import Event

_CLIENT_CLOSED_REQUEST: Final = 499  # nginx's status; nobody receives it
# Escaped to ASCII: error messages and arguments repeat a client's text, lone surrogates included.
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
_DONE: Final = b"data: [DONE]\n\n"


class ApiResponse(Protocol):
    """The JSON of an endpoint's response."""

    def whole(self, events: Sequence[Event]) -> dict[str, Any]:
        """The body of the response, from all events."""


class StreamedApiResponse(ApiResponse, Protocol):
    """The JSON of a response that can be streamed."""

    def chunks(self, event: Event) -> Iterable[dict[str, Any]]:
        """The chunks for one event. A chunk with a `type` is sent as a server-sent event of that name."""

    def ending(self, events: Sequence[Event]) -> Iterable[dict[str, Any]]:
        """The chunks after the last event."""


def streamed(response: StreamedApiResponse, events: AsyncGenerator[Event, None], *, done: bool) -> Response:
    """A stream of server-sent events. With `done`, it ends with `[DONE]`."""
    headers = {"cache-control": "no-cache"}
    return StreamingResponse(_sse(response, events, done), media_type="text/event-stream", headers=headers)


async def whole(request: Request, response: ApiResponse, events: AsyncGenerator[Event, None]) -> Response:
    """One body, when the generation is complete."""
    generated = await _unless_disconnected(request, events)
    if generated is None:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
    return json_response(response.whole(generated))


def json_response(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON body."""
    return Response(_encoded(body), status, headers, "application/json")


async def _sse(
    response: StreamedApiResponse, events: AsyncGenerator[Event, None], done: bool
) -> AsyncGenerator[bytes, None]:
    generated = []
    async with aclosing(events):
        async for event in events:
            generated.append(event)
            for chunk in response.chunks(event):
                yield _frame(chunk)
    for chunk in response.ending(generated):
        yield _frame(chunk)
    if done:
        yield _DONE


def _frame(chunk: dict[str, Any]) -> bytes:
    name = f"event: {chunk['type']}\n".encode() if "type" in chunk else b""
    return name + b"data: " + _encoded(chunk) + b"\n\n"


async def _unless_disconnected(request: Request, events: AsyncGenerator[Event, None]) -> list[Event] | None:
    """All events; `None` if the client disconnects before the last one."""

    async def all_events() -> list[Event]:
        async with aclosing(events):
            return [event async for event in events]

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    generation, disconnection = asyncio.create_task(all_events()), asyncio.create_task(disconnected())
    try:
        await asyncio.wait((generation, disconnection), return_when=asyncio.FIRST_COMPLETED)
        return generation.result() if generation.done() else None
    finally:
        generation.cancel()
        disconnection.cancel()
        await asyncio.gather(generation, disconnection, return_exceptions=True)


def _encoded(body: Mapping[str, Any]) -> bytes:
    return _encode(body).encode()
