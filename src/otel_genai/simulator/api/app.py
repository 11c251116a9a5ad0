"""The HTTP routes: OpenAI's, and the simulator's own for health, metrics and faults. Authorization is not checked."""

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
from otel_genai.simulator.api.responses.response import ResponsesResponse
from otel_genai.simulator.api.sse import json_response, streamed, whole
from otel_genai.simulator.api.validation import fields_of
from otel_genai.simulator.engine.inference import Inference
from otel_genai.simulator.engine.text import tokens
from otel_genai.simulator.faults.faults import ENGINE_FAULTS, FaultError, Faults

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otel_genai.simulator.api.chat.request import ChatRequest
    from otel_genai.simulator.engine.inference import Event, Generate, Sampling
    from otel_genai.simulator.engine.startup import Startup
    from otel_genai.simulator.engine.statistics import Statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The models, and everything that serves them."""

    models: Sequence[str]
    generate: Generate
    statistics: Statistics
    faults: Faults
    startup: Startup
    context_length: int | None = None
    """Tokens of the longest sequence: a prompt must be shorter. `None`: any length, and no engine with a profile."""
    middleware: Callable[[ASGIApp], ASGIApp] | None = None
    """Wraps the routes, inside of Starlette's error handling."""


def application(config: ServerConfig) -> ASGIApp:
    """The model server as an ASGI application."""
    return _with_request_ids(_routes(config))


def _routes(config: ServerConfig) -> Starlette:
    """The application without request ids."""
    api = _Api(config)
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
        exception_handlers=dict.fromkeys((ApiError, HTTPException, Exception), _error_response),
    )
    app.router.redirect_slashes = False
    if config.middleware is not None:
        app.add_middleware(config.middleware)
    return app


class _Api:
    """The endpoints."""

    def __init__(self, config: ServerConfig) -> None:
        created = int(time.time())
        self._config = config
        self._models = {
            model: {"id": model, "object": "model", "created": created, "owned_by": "otel-genai"}
            for model in config.models
        }
        self._registry = registry_of(config.statistics, model=config.models[0])

    async def health(self, _: Request) -> Response:
        self._check_loaded()
        return json_response({"status": "ok"})

    async def metrics(self, _: Request) -> Response:
        return Response(exposition(self._registry), headers={"content-type": CONTENT_TYPE})

    async def faults(self, request: Request) -> Response:
        faults = self._config.faults
        if request.method == "DELETE":
            faults.update(dict.fromkeys(faults.state()))
        elif request.method == "POST":
            # null switches a fault off.
            changes = fields_of(await request.body(), null=True)
            if self._config.context_length is None and any(changes.get(name) is not None for name in ENGINE_FAULTS):
                raise ApiError(f"{', '.join(ENGINE_FAULTS)} need an engine: start the simulator with --profile")
            try:
                faults.update(changes)
            except FaultError as error:
                raise ApiError(str(error)) from error
        return json_response(faults.state())

    async def list_models(self, _: Request) -> Response:
        self._check_loaded()
        return json_response({"object": "list", "data": list(self._models.values())})

    async def retrieve_model(self, request: Request) -> Response:
        self._check_loaded()
        model = request.path_params["model"]
        if model not in self._models:
            raise errors.unknown_model(model)
        return json_response(self._models[model])

    async def create_chat_completion(self, request: Request) -> Response:
        chat = chat_request(await request.body())
        self._check_model(chat.model)
        call = function_call(chat)
        response = ChatResponse(request=chat, call=call)
        events = self._generate(_inference(chat, call, response.id))
        return streamed(response, events, done=True) if chat.stream else await whole(request, response, events)

    async def create_response(self, request: Request) -> Response:
        chat = responses_request(await request.body())
        self._check_model(chat.model)
        call = function_call(chat)
        response = ResponsesResponse(request=chat, call=call)
        events = self._generate(_inference(chat, call, response.id))
        return streamed(response, events, done=False) if chat.stream else await whole(request, response, events)

    async def create_completion(self, request: Request) -> Response:
        completion = Completion.of(await request.body())
        inference = completion.inference
        self._check_model(inference.model)
        events = self._generate(inference)
        return streamed(completion, events, done=True) if inference.stream else await whole(request, completion, events)

    async def create_embeddings(self, request: Request) -> Response:
        embeddings = Embeddings.of(await request.body())
        self._check_model(embeddings.inference.model)
        return await whole(request, embeddings, self._generate(embeddings.inference))

    def _check_loaded(self) -> None:
        if self._config.startup.remaining():
            raise errors.loading()

    def _check_model(self, model: str) -> None:
        self._check_loaded()
        if model not in self._models:
            raise errors.unknown_model(model)
        if error := self._config.faults.next_error():
            raise error

    def _generate(self, inference: Inference) -> AsyncGenerator[Event, None]:
        self._check_length(inference)
        return self._config.generate(inference)

    def _check_length(self, inference: Inference) -> None:
        context_length = self._config.context_length
        if context_length is not None:
            for prompt in inference.prompts:
                # A token has a character at least: most prompts need no tokenization to be short enough.
                if len(prompt) >= context_length and (count := len(tokens(prompt))) >= context_length:
                    raise errors.too_long(count, context_length)


def _inference(chat: ChatRequest, call: FunctionCall | None, response_id: str) -> Inference:
    return Inference(
        prompts=(chat.prompt,),
        sampling=_guided(chat.sampling, call),
        model=chat.model,
        id=response_id,
        stream=chat.stream,
    )


def _guided(sampling: Sampling, call: FunctionCall | None) -> Sampling:
    # A stop sequence would cut the JSON of a call's arguments.
    return dataclasses.replace(sampling, guided=call.arguments, stop=()) if call else sampling


async def _error_response(request: Request, error: Exception) -> Response:
    target = f"{request.method} {request.url.path}"
    headers = None
    match error:
        case ApiError():
            response = error
        case HTTPException(status_code=405):
            response = ApiError(f"Not allowed: {target}.", status=405, code="method_not_supported")
            headers = error.headers
        case HTTPException():
            response = ApiError(f"Invalid URL ({target})", status=error.status_code)
        case _:
            response = ApiError(f"The simulator itself failed: {error!r}", status=500, type="server_error")
    return json_response(response.body, response.status, headers)


def _with_request_ids(app: ASGIApp) -> ASGIApp:
    """The application with an `x-request-id` on every response."""

    async def app_with_request_ids(scope: Scope, receive: Receive, send: Send) -> None:
        request_id = f"req_{uuid.uuid4().hex}".encode()

        async def send_with_request_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        await app(scope, receive, send_with_request_id)

    return app_with_request_ids
