"""Clients for the tests' servers, and what their calls have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from scripted_server import ScriptedServer

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
