"""Tokens, in the words of the client's several interfaces. What a server does not count is not counted here either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.instrumentors.openai.request import integer, told
from otel_genai.operation import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

# OpenAI's word for what was written to the cache, and vLLM's.
_CACHE_WRITTEN: Final = ("cache_write_tokens", "created_cache_tokens")
_MODALITIES: Final = (("text", "text_tokens"), ("image", "image_tokens"), ("audio", "audio_tokens"))


def chat_usage(counts: Any) -> Usage | None:
    """Of chat and of bare completions; `None` if the server did not count."""
    if counts is None:
        return None
    counted = told(counts)
    total, generated = integer(counted.get("prompt_tokens")), integer(counted.get("completion_tokens"))
    prompt, completion = counted.get("prompt_tokens_details"), counted.get("completion_tokens_details")
    if prompt is None is completion:  # most servers tell no more
        return Usage(total, generated)
    prompt, completion = told(prompt), told(completion)
    return Usage(
        input=total,
        output=generated,
        cache_read=integer(prompt.get("cached_tokens")),
        cache_write=_first(prompt, _CACHE_WRITTEN),
        reasoning=integer(completion.get("reasoning_tokens")),
        input_by_modality=_by_modality(prompt),
        output_by_modality=_by_modality(completion),
    )


def response_usage(counts: Any) -> Usage | None:
    """Of responses; `None` if the server did not count."""
    if counts is None:
        return None
    counted = told(counts)
    read, written = told(counted.get("input_tokens_details")), told(counted.get("output_tokens_details"))
    return Usage(
        input=integer(counted.get("input_tokens")),
        output=integer(counted.get("output_tokens")),
        cache_read=integer(read.get("cached_tokens")),
        cache_write=integer(read.get("cache_write_tokens")),
        reasoning=integer(written.get("reasoning_tokens")),
    )


def media_usage(counts: Any) -> Usage | None:
    """Of images and audio, by modality; `None` if the server did not count, or counted something else than tokens."""
    usage = response_usage(counts)
    if usage is None or usage.input is usage.output is None:
        return None
    counted = told(counts)
    # Images are counted in `…_tokens_details`, audio in `…_token_details`.
    return usage._replace(
        input_by_modality=_by_modality(told(counted.get("input_tokens_details") or counted.get("input_token_details"))),
        output_by_modality=_by_modality(told(counted.get("output_tokens_details"))),
    )


def _first(counts: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    if counts:
        for name in names:
            count = integer(counts.get(name))
            if count is not None:
                return count
    return None


def _by_modality(counts: Mapping[str, Any]) -> dict[str, int] | None:
    if not counts:
        return None
    by_modality: dict[str, int] = {}
    for modality, name in _MODALITIES:
        count = integer(counts.get(name))
        if count:  # zero is said of modalities that did not occur, also where nothing is broken down
            by_modality[modality] = count
    return by_modality or None
