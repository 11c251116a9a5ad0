"""Tokens, in the words of the client's several interfaces. What a server does not count is not counted here either."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from otel_genai.instrumentors.openai.request import field, integer
from otel_genai.operation import Usage

# OpenAI's word for what was written to the cache, and vLLM's.
_CACHE_WRITTEN: Final = ("cache_write_tokens", "created_cache_tokens")
_MODALITIES: Final = ("text", "image", "audio")


def chat_usage(counts: Any) -> Usage | None:
    """Of chat and of bare completions; `None` if the server did not count."""
    if counts is None:
        return None
    prompt, completion = field(counts, "prompt_tokens_details"), field(counts, "completion_tokens_details")
    return Usage(
        input=integer(field(counts, "prompt_tokens")),
        output=integer(field(counts, "completion_tokens")),
        cache_read=integer(field(prompt, "cached_tokens")),
        cache_write=next(
            (count for name in _CACHE_WRITTEN if (count := integer(field(prompt, name))) is not None), None
        ),
        reasoning=integer(field(completion, "reasoning_tokens")),
        input_by_modality=_by_modality(prompt),
        output_by_modality=_by_modality(completion),
    )


def response_usage(counts: Any) -> Usage | None:
    """Of responses; `None` if the server did not count."""
    if counts is None:
        return None
    read, written = field(counts, "input_tokens_details"), field(counts, "output_tokens_details")
    return Usage(
        input=integer(field(counts, "input_tokens")),
        output=integer(field(counts, "output_tokens")),
        cache_read=integer(field(read, "cached_tokens")),
        cache_write=integer(field(read, "cache_write_tokens")),
        reasoning=integer(field(written, "reasoning_tokens")),
    )


def media_usage(counts: Any) -> Usage | None:
    """Of images and audio, by modality; `None` if the server did not count, or counted something else than tokens."""
    counted = response_usage(counts)
    if counted is None or counted.input is counted.output is None:
        return None
    # Images are counted in `…_tokens_details`, audio in `…_token_details`.
    return replace(
        counted,
        input_by_modality=_by_modality(field(counts, "input_tokens_details") or field(counts, "input_token_details")),
        output_by_modality=_by_modality(field(counts, "output_tokens_details")),
    )


def _by_modality(details: Any) -> dict[str, int] | None:
    counts = {modality: integer(field(details, f"{modality}_tokens")) for modality in _MODALITIES}
    # Zero is said of modalities that did not occur, also where nothing is broken down.
    return {modality: count for modality, count in counts.items() if count} or None
