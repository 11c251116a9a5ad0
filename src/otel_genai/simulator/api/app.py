"""OpenAI's routes over starlette, and an engine's own: HTTP comes in, the engine is asked, JSON or server-sent events go out.

Authorization is not checked.
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from otel_genai.simulator.api import errors
from otel_genai.simulator.api.chat.request import chat_request
from otel_genai.simulator.api.chat.response import ChatResponse
from otel_genai.simulator.api.chat.tool_calls import FunctionCall, function_call
from otel_genai.simulator.api.completions import Completion
from otel_genai.simulator.api.embeddings import Embeddings
from otel_genai.simulator.api.errors import ApiError
from otel_genai.simulator.api.prometheus import CONTENT_TYPE, exposition, registry_of
from otel_genai.simulator.api.responses.request import responses_request
from otel_genai.simulator.api.responses.response import ResponsesAnswer
from otel_genai.simulator.api.sse import json_response, streamed, whole
from otel_genai.simulator.api.validation import fields_of
from otel_genai.simulator.engine.inference import Inference
from otel_genai.simulator.engine.text import tokens
from otel_genai.simulator.faults.faults import OF_ENGINES, FaultError, Faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otel_genai.simulator.api.chat.request import ChatRequest
    from otel_genai.simulator.engine.inference import Generate, Sampling
    from otel_genai.simulator.engine.startup import Startup
    from otel_genai.simulator.engine.statistics import Statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What is served, and by what."""

    models: Sequence[str]
    generate: Generate
    statistics: Statistics
    faults: Faults
    startup: Startup
    longest: int | None = None
    """How many tokens a prompt must stay below; `None`: it is no engine with a cache."""


def application(served: ServerConfig) -> ASGIApp:
    """The model server as an ASGI application."""
    return _identified(routes(served))


def routes(served: ServerConfig) -> Starlette:
    """The application without the ids of its responses."""
    api = _Api(served)
    app = Starlette(
        routes=[
            Route("/health", api.health),
            Route("/metrics", api.metrics),
            Route("/faults", api.faults, methods=["GET", "POST", "DELETE"]),
            Route("/v1/models", api.list_models),
            Route("/v1/models/{model:path}", api.retrieve_model),
            Route("/v1/chat/completions", api.create_chat_completion, methods=["POST"]),
            Route("/v1/completions", api.create_completion, methods=["POST"]),
            Route("/v1/responses", api.create_response, methods=["POST"]),
            Route("/v1/embeddings", api.create_embeddings, methods=["POST"]),
        ],
        exception_handlers=dict.fromkeys((ApiError, HTTPException, Exception), _refused),
    )
    app.router.redirect_slashes = False
    return app


class _Api:
    """The endpoints."""

    def __init__(self, served: ServerConfig) -> None:
        created = int(time.time())
        self._served = served
        self._models = {
            model: {"id": model, "object": "model", "created": created, "owned_by": "otel-genai"}
            for model in served.models
        }
        self._registry = registry_of(served.statistics, model=served.models[0])

    async def health(self, _: Request) -> Response:
        self._loaded()
        return json_response({"status": "ok"})

    async def metrics(self, _: Request) -> Response:
        return Response(exposition(self._registry), headers={"content-type": CONTENT_TYPE})

    async def faults(self, request: Request) -> Response:
        faults = self._served.faults
        if request.method == "DELETE":
            faults.switch(dict.fromkeys(faults.state()))
        elif request.method == "POST":
            # Here, null has a meaning of its own: off.
            changes = fields_of(await request.body(), null=True)
            if self._served.longest is None and any(changes.get(name) is not None for name in OF_ENGINES):
                raise ApiError(f"{', '.join(OF_ENGINES)} need an engine: start the simulator with --profile")
            try:
                faults.switch(changes)
            except FaultError as error:
                raise ApiError(str(error)) from error
        return json_response(faults.state())

    async def list_models(self, _: Request) -> Response:
        self._loaded()
        return json_response({"object": "list", "data": list(self._models.values())})

    async def retrieve_model(self, request: Request) -> Response:
        self._loaded()
        model = request.path_params["model"]
        if model not in self._models:
            raise errors.unknown_model(model)
        return json_response(self._models[model])

    async def create_chat_completion(self, request: Request) -> Response:
        asked = chat_request(await request.body())
        self._admit(asked.model)
        call = function_call(asked)
        response = ChatResponse(request=asked, call=call)
        events = self._served.generate(self._fitting(_inference(asked, call, response.id)))
        return streamed(response, events, done=True) if asked.stream else await whole(request, response, events)

    async def create_response(self, request: Request) -> Response:
        asked = responses_request(await request.body())
        self._admit(asked.model)
        call = function_call(asked)
        answer = ResponsesAnswer(request=asked, call=call)
        events = self._served.generate(self._fitting(_inference(asked, call, answer.id)))
        return streamed(answer, events, done=False) if asked.stream else await whole(request, answer, events)

    async def create_completion(self, request: Request) -> Response:
        completion = Completion.of(await request.body())
        inference = completion.inference
        self._admit(inference.model)
        events = self._served.generate(self._fitting(inference))
        return streamed(completion, events, done=True) if inference.stream else await whole(request, completion, events)

    async def create_embeddings(self, request: Request) -> Response:
        embeddings = Embeddings.of(await request.body())
        self._admit(embeddings.inference.model)
        return await whole(request, embeddings, self._served.generate(self._fitting(embeddings.inference)))

    def _loaded(self) -> None:
        if self._served.startup.remaining():
            raise errors.loading()

    def _admit(self, model: str) -> None:
        self._loaded()
        if model not in self._models:
            raise errors.unknown_model(model)
        if fault := self._served.faults.next():
            raise fault

    def _fitting(self, inference: Inference) -> Inference:
        longest = self._served.longest
        if longest is not None:
            for prompt in inference.prompts:
                # No token is shorter than a character: most prompts need not be cut up to be counted.
                if len(prompt) >= longest and (count := len(tokens(prompt))) >= longest:
                    raise errors.too_long(count, longest)
        return inference


def _inference(asked: ChatRequest, call: FunctionCall | None, response_id: str) -> Inference:
    return Inference(
        prompts=(asked.prompt,),
        sampling=_guided(asked.sampling, call),
        model=asked.model,
        id=response_id,
        stream=asked.stream,
    )


def _guided(sampling: Sampling, call: FunctionCall | None) -> Sampling:
    # A call's arguments are bound by their schema; a stop sequence could only break the JSON.
    return dataclasses.replace(sampling, guided=call.arguments, stop=()) if call else sampling


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
    return json_response(refusal.body, refusal.status, headers)


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
