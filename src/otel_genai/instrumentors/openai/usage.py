"""Token counts of every surface, as the server reports them. A missing count is `None`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.instrumentors.openai.request import fields_of, integer
from otel_genai.operation import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

# OpenAI's name of the tokens written to the cache, and vLLM's.
_CACHE_WRITTEN: Final = ("cache_write_tokens", "created_cache_tokens")
_MODALITIES: Final = (("text", "text_tokens"), ("image", "image_tokens"), ("audio", "audio_tokens"))


def chat_usage(counts: Any) -> Usage | None:
    """Usage of chat and text completions; `None` if the server sent none."""
    if counts is None:
        return None
    fields = fields_of(counts)
    total, generated = integer(fields.get("prompt_tokens")), integer(fields.get("completion_tokens"))
    prompt, completion = fields.get("prompt_tokens_details"), fields.get("completion_tokens_details")
    if prompt is None is completion:  # most servers send no details
        return Usage(total, generated)
    prompt, completion = fields_of(prompt), fields_of(completion)
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
    """Usage of the Responses API; `None` if the server sent none."""
    if counts is None:
        return None
    fields = fields_of(counts)
    input_details = fields_of(fields.get("input_tokens_details"))
    output_details = fields_of(fields.get("output_tokens_details"))
    return Usage(
        input=integer(fields.get("input_tokens")),
        output=integer(fields.get("output_tokens")),
        cache_read=integer(input_details.get("cached_tokens")),
        cache_write=integer(input_details.get("cache_write_tokens")),
        reasoning=integer(output_details.get("reasoning_tokens")),
    )


def media_usage(counts: Any) -> Usage | None:
    """Usage of images and audio, by modality; `None` if the server sent none, or one in a unit other than tokens."""
    usage = response_usage(counts)
    if usage is None or usage.input is usage.output is None:
        return None
    fields = fields_of(counts)
    # Images have `…_tokens_details`, audio has `…_token_details`.
    input_details = fields.get("input_tokens_details") or fields.get("input_token_details")
    return usage._replace(
        input_by_modality=_by_modality(fields_of(input_details)),
        output_by_modality=_by_modality(fields_of(fields.get("output_tokens_details"))),
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
        if count:  # zero: the modality did not occur, or the server has no breakdown
            by_modality[modality] = count
    return by_modality or None
