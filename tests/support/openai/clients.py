"""Clients for the tests' servers, and what their calls have in common."""

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
"""The client's word for a parameter that is not given."""
# What the application sees in mid-stream. Before 3.0 the client let its HTTP client's own errors through.
_HTTP: Any = None if VERSION >= (3, 0) else importlib.import_module("httpx")
BROKEN: type[Exception] = _HTTP.RemoteProtocolError if _HTTP else openai.APIConnectionError
"""… of a connection that breaks."""
STALLED: type[Exception] = _HTTP.ReadTimeout if _HTTP else openai.APITimeoutError
"""… of a server that says nothing for longer than the client waits."""
NO_RESPONSES = "this version of the client has no Responses API"

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
USER: list[Any] = [{"role": "user", "content": "Say hello."}]
MADE: list[openai.OpenAI] = []
"""Clients to be closed when the test is over."""


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
    """Arguments for a call of the client; parameters that came with later versions go in `extra_body`, which is their way then."""
    known = inspect.signature(call).parameters
    later = {name: value for name, value in parameters.items() if name not in known}
    given = {name: value for name, value in parameters.items() if name in known}
    return {**given, "extra_body": {**given.get("extra_body", {}), **later}} if later else given


def error_type(error: type[BaseException]) -> str:
    """The class of an error as it is reported."""
    return f"{error.__module__}.{error.__qualname__}"


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """All attributes but those that differ from run to run."""
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
"""Of a call that was answered by `scripted_server.completion()`."""
STREAMED = ANSWERED | {"gen_ai.request.stream": True}
"""Of a call that was answered by `scripted_server.HELLO`, read to its end."""
