"""The legacy completions endpoint, which continues a text: its request and its response. Pure functions."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_genai.simulator.api.chat.response import SYSTEM_FINGERPRINT
from otel_genai.simulator.api.validation import (
    Range,
    check_fields,
    fields_of,
    model_of,
    stop_sequences,
    streaming,
    texts,
)
from otel_genai.simulator.engine.inference import Event, Finish, Inference, Prefill, Sampling, Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_INTEGERS: dict[str, Range] = {
    "n": (1, 128),
    "max_tokens": (1, float("inf")),
    "seed": (-(2**63), 2**63 - 1),
    "logprobs": (0, 5),
}
_DEFAULT_MAX_TOKENS: Final = 16
"""OpenAI's default for this endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A request, and the response to it."""

    inference: Inference
    include_usage: bool
    created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    def of(cls, body: bytes) -> Completion:
        """The request in an HTTP body; raises `ApiError`."""
        fields = fields_of(body)
        model = model_of(fields)
        prompts = texts(fields, "prompt")
        check_fields(
            fields, integers=_INTEGERS, booleans=("stream", "echo"), objects=("stream_options",), strings=("user",)
        )
        stream, include_usage = streaming(fields)
        inference = Inference(
            prompts=prompts,
            model=model,
            id=f"cmpl-{uuid.uuid4().hex}",
            stream=stream,
            sampling=Sampling(
                n=fields.get("n", 1),
                max_tokens=fields.get("max_tokens", _DEFAULT_MAX_TOKENS),
                stop=stop_sequences(fields),
                seed=fields.get("seed"),
                temperature=fields.get("temperature"),
                top_p=fields.get("top_p"),
            ),
        )
        return cls(inference=inference, include_usage=include_usage)

    def whole(self, events: Sequence[Event]) -> dict[str, Any]:
        """The response without streaming."""
        count = len(self.inference.prompts) * self.inference.sampling.n
        texts, reasons = [""] * count, [""] * count
        for event in events:
            match event:
                case Token(choice, text):
                    texts[choice] += text
                case Finish(choice, reason):
                    reasons[choice] = reason
        choices = [_choice(index, texts[index], reasons[index]) for index in range(count)]
        return self._envelope(choices) | {"usage": _usage(events)}

    def chunks(self, event: Event) -> Iterator[dict[str, Any]]:
        """The chunks of a stream for one event of the engine."""
        match event:
            case Token(choice, text):
                yield self._chunk(_choice(choice, text, None))
            case Finish(choice, reason):
                yield self._chunk(_choice(choice, "", reason))

    def ending(self, events: Sequence[Event]) -> Iterator[dict[str, Any]]:
        """The last chunk of a stream, if the request asks for usage."""
        if self.include_usage:
            yield self._envelope([]) | {"usage": _usage(events)}

    def _chunk(self, choice: dict[str, Any]) -> dict[str, Any]:
        chunk = self._envelope([choice])
        return chunk | {"usage": None} if self.include_usage else chunk

    def _envelope(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.inference.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.inference.model,
            "system_fingerprint": SYSTEM_FINGERPRINT,
            "choices": choices,
        }


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}


def _usage(events: Sequence[Event]) -> dict[str, Any]:
    prefills = [event for event in events if isinstance(event, Prefill)]
    prompt = sum(event.prompt_tokens for event in prefills)
    completion = sum(isinstance(event, Token) for event in events)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": sum(event.cached_tokens for event in prefills)},
    }
