"""OpenAI's routes over starlette: HTTP comes in, the engine is asked, JSON or server-sent events go out.

A client that goes away stops its generation, whether it streams or not. Authorization is not checked.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from otel_genai.simulator.chat_request import chat_request
from otel_genai.simulator.chat_response import ChatResponse
from otel_genai.simulator.errors import ApiError, Faults, unknown_model
from otel_genai.simulator.tool_calls import function_call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otel_genai.simulator.engine import Event, Generate

_CLIENT_CLOSED_REQUEST = 499


def application(*, models: Sequence[str], generate: Generate, faults: Faults) -> ASGIApp:
    """The model server as an ASGI application."""
    api = _Api(models, generate, faults)
    app = Starlette(
        routes=[
            Route("/health", api.health),
            Route("/v1/models", api.list_models),
            Route("/v1/models/{model:path}", api.retrieve_model),
            Route("/v1/chat/completions", api.create_chat_completion, methods=["POST"]),
        ],
        exception_handlers=dict.fromkeys((ApiError, HTTPException, Exception), _refused),
    )
    app.router.redirect_slashes = False
    return _identified(app)


class _Api:
    """The endpoints."""

    def __init__(self, models: Sequence[str], generate: Generate, faults: Faults) -> None:
        created = int(time.time())
        self._models = {
            model: {"id": model, "object": "model", "created": created, "owned_by": "otel-genai"} for model in models
        }
        self._generate = generate
        self._faults = faults

    async def health(self, _: Request) -> Response:
        return _json({"status": "ok"})

    async def list_models(self, _: Request) -> Response:
        return _json({"object": "list", "data": list(self._models.values())})

    async def retrieve_model(self, request: Request) -> Response:
        model = request.path_params["model"]
        if model not in self._models:
            raise unknown_model(model)
        return _json(self._models[model])

    async def create_chat_completion(self, request: Request) -> Response:
        asked = chat_request(await request.body())
        if asked.model not in self._models:
            raise unknown_model(asked.model)
        if fault := self._faults.next():
            raise fault
        call = function_call(asked)
        # A call's arguments are bound by their schema; a stop sequence could only break the JSON.
        sampling = dataclasses.replace(asked.sampling, guided=call.arguments, stop=()) if call else asked.sampling
        response = ChatResponse(request=asked, call=call)
        events = self._generate(asked.prompt, sampling)
        if asked.stream:
            headers = {"cache-control": "no-cache"}
            return StreamingResponse(_sse(response, events), media_type="text/event-stream", headers=headers)
        generated = await _unless_disconnected(request, events)
        if generated is None:
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
        return _json(response.completion(generated))


async def _sse(response: ChatResponse, events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    generated = []
    async with aclosing(events):
        async for event in events:
            generated.append(event)
            for chunk in response.chunks(event):
                yield _data(chunk)
    if response.request.include_usage:
        yield _data(response.usage_chunk(generated))
    yield b"data: [DONE]\n\n"


def _data(chunk: dict[str, Any]) -> bytes:
    return b"data: " + _encoded(chunk) + b"\n\n"


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


async def _refused(request: Request, error: Exception) -> Response:
    target = f"{request.method} {request.url.path}"
    headers = None
    match error:
        case ApiError():
            refusal = error
        case HTTPException(status_code=405):
            refusal = ApiError(f"Not allowed: {target}.", status=405, code="method_not_supported")
            headers = error.headers
        case HTTPException():
            refusal = ApiError(f"Invalid URL ({target})", status=error.status_code)
        case _:
            refusal = ApiError(f"The simulator itself failed: {error!r}", status=500, type="server_error")
    return _json(refusal.body, refusal.status, headers)


def _json(body: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(_encoded(body), status, headers, "application/json")


def _encoded(body: dict[str, Any]) -> bytes:
    # Escaped to ASCII: what a client sent comes back in error messages and arguments, lone surrogates included.
    return json.dumps(body, separators=(",", ":")).encode()


def _identified(app: ASGIApp) -> ASGIApp:
    """The application with an `x-request-id` on every response."""

    async def identified(scope: Scope, receive: Receive, send: Send) -> None:
        request_id = f"req_{uuid.uuid4().hex}".encode()

        async def send_identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        await app(scope, receive, send_identified)

    return identified
