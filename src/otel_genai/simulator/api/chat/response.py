"""The response to a chat completion request: one completion, or the chunks of a stream. Pure functions.

The first chunk of each choice carries its role and no text. It is sent when the prompt has been read.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from otel_genai.simulator.engine.inference import Event, Finish, Prefill, Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_genai.simulator.api.chat.request import ChatRequest
    from otel_genai.simulator.api.chat.tool_calls import FunctionCall

SYSTEM_FINGERPRINT = "fp_simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatResponse:
    """The response to one request: text, or a function call."""

    request: ChatRequest
    call: FunctionCall | None
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, events: Sequence[Event]) -> dict[str, Any]:
        """The response without streaming."""
        texts = [""] * self.request.sampling.n
        reasons = [""] * self.request.sampling.n
        for event in events:
            match event:
                case Token(choice, text):
                    texts[choice] += text
                case Finish(choice):
                    reasons[choice] = self._finish_reason(event)
        choices = [
            {"index": index, "message": self._message(text), "logprobs": None, "finish_reason": reason}
            for index, (text, reason) in enumerate(zip(texts, reasons, strict=True))
        ]
        return self._envelope("chat.completion", choices) | {"usage": usage(events)}

    def chunks(self, event: Event) -> Iterator[dict[str, Any]]:
        """The chunks of a stream for one event of the engine."""
        match event:
            case Prefill():
                for choice in range(self.request.sampling.n):
                    yield self._chunk(choice, self._first_delta())
            case Token(choice, text) if self.call:
                yield self._chunk(choice, {"tool_calls": [{"index": 0, "function": {"arguments": text}}]})
            case Token(choice, text):
                yield self._chunk(choice, {"content": text})
            case Finish(choice):
                yield self._chunk(choice, {}, self._finish_reason(event))

    def ending(self, events: Sequence[Event]) -> Iterator[dict[str, Any]]:
        """The last chunk of a stream, if the request asks for usage."""
        if self.request.include_usage:
            yield self._envelope("chat.completion.chunk", []) | {"usage": usage(events)}

    def _first_delta(self) -> dict[str, Any]:
        if self.call is None:
            return {"role": "assistant", "content": ""}
        return {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **_tool_call(self.call.name, "")}]}

    def _message(self, text: str) -> dict[str, Any]:
        if self.call is None:
            return {"role": "assistant", "content": text, "refusal": None, "annotations": []}
        calls = [_tool_call(self.call.name, text)]
        return {"role": "assistant", "content": None, "tool_calls": calls, "refusal": None, "annotations": []}

    def _finish_reason(self, finish: Finish) -> str:
        return "tool_calls" if self.call and finish.reason == "stop" else finish.reason

    def _chunk(self, choice: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choices = [{"index": choice, "delta": delta, "logprobs": None, "finish_reason": reason}]
        chunk = self._envelope("chat.completion.chunk", choices)
        # If the request asks for usage, every chunk has the key; otherwise, none has.
        return chunk | {"usage": None} if self.request.include_usage else chunk

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.request.model,
            "service_tier": "default",
            "system_fingerprint": SYSTEM_FINGERPRINT,
            "choices": choices,
        }


def usage(events: Sequence[Event]) -> dict[str, Any]:
    """The tokens of one request, all choices together."""
    prompt = sum(event.prompt_tokens for event in events if isinstance(event, Prefill))
    cached = sum(event.cached_tokens for event in events if isinstance(event, Prefill))
    completion = sum(isinstance(event, Token) for event in events)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _tool_call(name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
