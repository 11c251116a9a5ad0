"""One call of each of the client's surfaces, with every parameter and every field of the answer.

The tables of docs/telemetry.md are generated from their telemetry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otel_genai.instrumentors.openai import audio, chat, completions, embeddings, images, moderations, responses
from tests.support.openai.scripted_responses import COMPACTION, OPENING, event, response
from tests.support.openai.scripted_server import chunk, completion, delta

if TYPE_CHECKING:
    from otel_genai.endpoint.endpoint import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One of the client's surfaces, with an example of a call."""

    name: str
    endpoint: Endpoint
    arguments: dict[str, Any]
    """Keyword arguments of the call."""
    answer: dict[str, Any]
    """JSON of the response."""
    events: tuple[dict[str, Any], ...] = ()
    """The same response as a stream; empty for a surface without streams."""
    streams: dict[str, Any]
    """The arguments that request a stream."""
    through: tuple[str, ...] = ()
    """Helpers of the client that make this surface's calls."""


_MESSAGES = [{"role": "user", "content": "Say hello."}]
_SAMPLING = {
    "temperature": 0.5,
    "top_p": 0.9,
    "extra_body": {"top_k": 40},
}
_DECODING = {
    **_SAMPLING,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "stop": ["END"],
    "seed": 42,
    "n": 2,
}
_CHAT_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
_IMAGE_USAGE = {
    "input_tokens": 40,
    "output_tokens": 40,
    "input_tokens_details": {"text_tokens": 20, "image_tokens": 20},
    "output_tokens_details": {"text_tokens": 20, "image_tokens": 20},
}
_TRANSCRIPT_USAGE = {
    "input_tokens": 40,
    "output_tokens": 20,
    "input_token_details": {"text_tokens": 20, "audio_tokens": 20},
}
_FETCHABLE = response(conversation={"id": "conv_1"})
_COMPACTING = response(*_FETCHABLE["output"], COMPACTION, conversation={"id": "conv_1"})
_STREAM = {"stream": True}

SURFACES = (
    Surface(
        name="Chat",
        endpoint=chat.CHAT,
        arguments={
            "model": "gpt-5",
            "messages": _MESSAGES,
            "tools": [{"type": "function", "function": {"name": "weather"}}],
            "max_completion_tokens": 100,
            "response_format": {"type": "json_object"},
            "reasoning_effort": "low",
            "service_tier": "flex",
            **_DECODING,
        },
        answer=completion(usage=_CHAT_USAGE),
        events=(
            chunk(delta(role="assistant", content="")),
            chunk(delta(content="Hello!")),
            chunk(delta(finish_reason="stop"), usage=_CHAT_USAGE),
        ),
        streams=_STREAM,
        through=("chat.completions.stream",),
    ),
    Surface(
        name="Responses",
        endpoint=responses.CREATE,
        arguments={
            "model": "gpt-5",
            "input": "Say hello.",
            "instructions": "Be brief.",
            "tools": [{"type": "function", "name": "weather"}],
            "max_output_tokens": 100,
            "text": {"format": {"type": "json_object"}},
            "reasoning": {"effort": "low"},
            "service_tier": "flex",
            "conversation": {"id": "conv_1"},
            "previous_response_id": "resp_0",
            "prompt": {"id": "pmpt_1", "version": "2"},
            **_SAMPLING,
        },
        answer=_COMPACTING,
        events=(
            *OPENING,
            event("output_text.delta", output_index=0, content_index=0, delta="Hello!"),
            event("completed", response=_COMPACTING),
        ),
        streams=_STREAM,
        through=("responses.stream",),
    ),
    Surface(
        name="Fetch",
        endpoint=responses.FETCH,
        arguments={"response_id": "resp_1"},
        answer=_FETCHABLE,
        events=(*OPENING, event("completed", response=_FETCHABLE)),
        streams={"stream": True, "starting_after": 1},
        through=("responses.stream(response_id=…)",),
    ),
    Surface(
        name="Compact",
        endpoint=responses.COMPACT,
        arguments={
            "model": "gpt-5",
            "input": "Say hello.",
            "instructions": "Be brief.",
            "previous_response_id": "resp_0",
            "service_tier": "flex",
        },
        answer=response(COMPACTION, status=None),
        streams={},
    ),
    Surface(
        name="Completions",
        endpoint=completions.COMPLETION,
        arguments={"model": "gpt-3.5-turbo-instruct", "prompt": "Say hello.", "max_tokens": 100, **_DECODING},
        answer=completion(choices=[{"index": 0, "text": "Hello!", "finish_reason": "stop"}], usage=_CHAT_USAGE),
        events=(
            chunk({"index": 0, "text": "Hel", "finish_reason": None}),
            chunk({"index": 0, "text": "lo!", "finish_reason": "stop"}, usage=_CHAT_USAGE),
        ),
        streams=_STREAM,
    ),
    Surface(
        name="Embeddings",
        endpoint=embeddings.EMBEDDING,
        arguments={
            "model": "text-embedding-3-small",
            "input": "hello",
            "encoding_format": "float",
            "dimensions": 2,
        },
        answer={
            "model": "text-embedding-3-small",
            "data": [{"index": 0, "embedding": [0.1, 0.2]}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        },
        streams={},
    ),
    Surface(
        name="Images",
        endpoint=images.IMAGE,
        arguments={"model": "gpt-image-1", "prompt": "A fjord.", "n": 2},
        answer={"data": [{"url": "https://example.com/1.png"}], "usage": _IMAGE_USAGE},
        events=(
            {"type": "image_generation.partial_image", "b64_json": "iVBO"},
            {"type": "image_generation.completed", "b64_json": "iVBO", "usage": _IMAGE_USAGE},
        ),
        streams=_STREAM,
    ),
    Surface(
        name="Speech",
        endpoint=audio.SPEECH,
        arguments={"model": "gpt-4o-mini-tts", "input": "Hello!", "instructions": "Softly.", "voice": "alloy"},
        answer={},
        events=(
            {"type": "speech.audio.delta", "audio": "UklG"},
            {"type": "speech.audio.done", "usage": {"input_tokens": 9, "output_tokens": 30}},
        ),
        streams={"stream_format": "sse"},
    ),
    Surface(
        name="Transcripts",
        endpoint=audio.TRANSCRIPT,
        arguments={"model": "gpt-4o-transcribe", "file": b"RIFF", "prompt": "A greeting.", "temperature": 0.5},
        answer={"text": "Hello!", "usage": _TRANSCRIPT_USAGE},
        events=(
            {"type": "transcript.text.delta", "delta": "Hello!"},
            {"type": "transcript.text.done", "text": "Hello!", "usage": _TRANSCRIPT_USAGE},
        ),
        streams=_STREAM,
    ),
    Surface(
        name="Moderations",
        endpoint=moderations.MODERATION,
        arguments={"model": "omni-moderation-latest", "input": "Say hello."},
        answer={"id": "modr-1", "model": "omni-moderation-latest", "results": []},
        streams={},
    ),
)
