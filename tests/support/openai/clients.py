"""Clients of the tests' servers, and the attributes that their calls share."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.support.openai.scripted_server import ScriptedServer

VERSION = tuple(map(int, openai.__version__.split(".")[:2]))
NOT_GIVEN: Any = getattr(openai, "omit", openai.NOT_GIVEN)
"""The client's sentinel for an omitted parameter."""
# Errors in mid-stream. Before openai 3.0 they are the HTTP client's.
_HTTP: Any = None if VERSION >= (3, 0) else importlib.import_module("httpx")
BROKEN: type[Exception] = _HTTP.RemoteProtocolError if _HTTP else openai.APIConnectionError
"""The error of a connection that breaks."""
STALLED: type[Exception] = _HTTP.ReadTimeout if _HTTP else openai.APITimeoutError
"""The error of a server that sends nothing until the client times out."""
NO_RESPONSES = "this version of the client has no Responses API"

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
USER: list[Any] = [{"role": "user", "content": "Say hello."}]
MADE: list[openai.OpenAI] = []
"""Clients that the fixtures close after the test."""


def client(server: ScriptedServer | str, **options: Any) -> openai.OpenAI:
    """A client that is closed when the test is over."""
    url = server if isinstance(server, str) else server.url
    MADE.append(openai.OpenAI(base_url=url, api_key="sk-secret", **{"max_retries": 0, **options}))
    return MADE[-1]


def async_client(server: ScriptedServer | str, **options: Any) -> openai.AsyncOpenAI:
    """A client for `async with`."""
    url = server if isinstance(server, str) else server.url
    return openai.AsyncOpenAI(base_url=url, api_key="sk-secret", **{"max_retries": 0, **options})


def arguments(call: Callable[..., Any], **parameters: Any) -> dict[str, Any]:
    """Arguments for a call of the client. Parameters of later versions go into `extra_body`."""
    signature = inspect.signature(call).parameters
    later = {name: value for name, value in parameters.items() if name not in signature}
    known = {name: value for name, value in parameters.items() if name in signature}
    return {**known, "extra_body": {**known.get("extra_body", {}), **later}} if later else known


def error_type(error: type[BaseException]) -> str:
    """`error.type` of an exception class."""
    return f"{error.__module__}.{error.__qualname__}"


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """All attributes but the ones that differ from run to run."""
    return {
        name: value
        for name, value in (span.attributes or {}).items()
        if name not in {"server.port", "gen_ai.response.time_to_first_chunk", "otel_genai.response.time_to_first_token"}
    }


BASIC = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "server.address": "127.0.0.1",
    "openai.api.type": "chat_completions",
}
ANSWERED = BASIC | {
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "openai.response.service_tier": "default",
    "openai.response.system_fingerprint": "fp_1",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 9,
    "gen_ai.usage.output_tokens": 3,
}
COMPLETED = ANSWERED | {"gen_ai.usage.cache_read.input_tokens": 4, "gen_ai.usage.reasoning.output_tokens": 1}
"""Attributes of a call with the answer `scripted_server.completion()`."""
STREAMED = ANSWERED | {"gen_ai.request.stream": True}
"""Attributes of a stream of `scripted_server.HELLO` that was read to its end."""
