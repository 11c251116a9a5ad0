"""How answers go out over HTTP: as one JSON body, or as server-sent events. A client that leaves stops its generation either way."""

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

_CLIENT_CLOSED_REQUEST: Final = 499
# Escaped to ASCII: what a client sent comes back in error messages and arguments, lone surrogates included.
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
_DONE: Final = b"data: [DONE]\n\n"


class Answer(Protocol):
    """An endpoint's way to put what the engine generates into JSON."""

    def whole(self, events: Sequence[Event]) -> dict[str, Any]:
        """All of it at once."""


class StreamedAnswer(Answer, Protocol):
    """The same for an endpoint that also streams."""

    def chunks(self, event: Event) -> Iterable[dict[str, Any]]:
        """What a stream sends when the engine tells of an event. A chunk with a `type` is sent as an event of that name."""

    def ending(self, events: Sequence[Event]) -> Iterable[dict[str, Any]]:
        """What a stream sends after the last event."""


def streamed(answer: StreamedAnswer, events: AsyncGenerator[Event, None], *, done: bool) -> Response:
    """A stream of server-sent events, which says `[DONE]` at its end if `done`."""
    headers = {"cache-control": "no-cache"}
    return StreamingResponse(_sse(answer, events, done), media_type="text/event-stream", headers=headers)


async def whole(request: Request, answer: Answer, events: AsyncGenerator[Event, None]) -> Response:
    """One body, when everything has been generated."""
    generated = await _unless_disconnected(request, events)
    if generated is None:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
    return json_response(answer.whole(generated))


def json_response(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON body."""
    return Response(_encoded(body), status, headers, "application/json")


async def _sse(answer: StreamedAnswer, events: AsyncGenerator[Event, None], done: bool) -> AsyncGenerator[bytes, None]:
    generated = []
    async with aclosing(events):
        async for event in events:
            generated.append(event)
            for chunk in answer.chunks(event):
                yield _frame(chunk)
    for chunk in answer.ending(generated):
        yield _frame(chunk)
    if done:
        yield _DONE


def _frame(chunk: dict[str, Any]) -> bytes:
    name = f"event: {chunk['type']}\n".encode() if "type" in chunk else b""
    return name + b"data: " + _encoded(chunk) + b"\n\n"


async def _unless_disconnected(request: Request, events: AsyncGenerator[Event, None]) -> list[Event] | None:
    """All events; `None` if the client leaves before the last of them."""

    async def all_events() -> list[Event]:
        async with aclosing(events):
            return [event async for event in events]

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    generation, departure = asyncio.create_task(all_events()), asyncio.create_task(disconnected())
    try:
        await asyncio.wait((generation, departure), return_when=asyncio.FIRST_COMPLETED)
        return generation.result() if generation.done() else None
    finally:
        generation.cancel()
        departure.cancel()
        await asyncio.gather(generation, departure, return_exceptions=True)


def _encoded(body: Mapping[str, Any]) -> bytes:
    return _encode(body).encode()
