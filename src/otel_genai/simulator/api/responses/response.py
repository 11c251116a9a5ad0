"""The response of the responses endpoint: one object, or the events of a stream. Pure functions."""

from __future__ import annotations

import itertools
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from otel_genai.simulator.engine.inference import Event, Finish, Prefill, Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_genai.simulator.api.chat.request import ChatRequest
    from otel_genai.simulator.api.chat.tool_calls import FunctionCall

_COMPLETED, _INCOMPLETE, _IN_PROGRESS = "completed", "incomplete", "in_progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesResponse:
    """The response to one request. It has one item: a message, or a function call."""

    request: ChatRequest
    call: FunctionCall | None
    id: str = field(default_factory=lambda: f"resp_{uuid.uuid4().hex}")
    item_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))
    sequence_numbers: Iterator[int] = field(default_factory=itertools.count)
    """Numbers of a stream's events."""
    streamed: list[str] = field(default_factory=list)
    """The text that a stream has sent so far."""

    def whole(self, events: Sequence[Event]) -> dict[str, Any]:
        """The response without streaming."""
        text = "".join(event.text for event in events if isinstance(event, Token))
        status = _status(events)
        return self._response(status, [self._item(text, status)], _usage(events))

    def chunks(self, event: Event) -> Iterator[dict[str, Any]]:
        """The events of a stream for one event of the engine."""
        match event:
            case Prefill():
                yield self._event("response.created", response=self._response(_IN_PROGRESS, [], None))
                yield self._event("response.in_progress", response=self._response(_IN_PROGRESS, [], None))
                item = self._item("", _IN_PROGRESS) | ({"content": []} if self.call is None else {})
                yield self._event("response.output_item.added", output_index=0, item=item)
                if self.call is None:
                    yield self._part_event("response.content_part.added", part=_text_part(""))
            case Token(_, text) if self.call:
                self.streamed.append(text)
                yield self._item_event("response.function_call_arguments.delta", delta=text)
            case Token(_, text):
                self.streamed.append(text)
                yield self._part_event("response.output_text.delta", delta=text, logprobs=[])
            case Finish():
                yield from self._finished(event)

    def ending(self, events: Sequence[Event]) -> Iterator[dict[str, Any]]:
        """The last event of a stream."""
        status = _status(events)
        yield self._event(f"response.{status}", response=self.whole(events))

    def _finished(self, finish: Finish) -> Iterator[dict[str, Any]]:
        text = "".join(self.streamed)
        if self.call:
            yield self._item_event("response.function_call_arguments.done", arguments=text, name=self.call.name)
        else:
            yield self._part_event("response.output_text.done", text=text, logprobs=[])
            yield self._part_event("response.content_part.done", part=_text_part(text))
        yield self._event("response.output_item.done", output_index=0, item=self._item(text, _status([finish])))

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "sequence_number": next(self.sequence_numbers), **fields}

    def _item_event(self, kind: str, **fields: Any) -> dict[str, Any]:
        return self._event(kind, item_id=self._item_id(), output_index=0, **fields)

    def _part_event(self, kind: str, **fields: Any) -> dict[str, Any]:
        return self._item_event(kind, content_index=0, **fields)

    def _item_id(self) -> str:
        return f"{'fc' if self.call else 'msg'}_{self.item_id}"

    def _item(self, text: str, status: str) -> dict[str, Any]:
        common = {"id": self._item_id(), "status": status}
        if self.call is None:
            return {**common, "type": "message", "role": "assistant", "content": [_text_part(text)]}
        call_id = f"call_{self.item_id[:24]}"
        return {**common, "type": "function_call", "call_id": call_id, "name": self.call.name, "arguments": text}

    def _response(self, status: str, output: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
        sampling = self.request.sampling
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == _INCOMPLETE else None,
            "instructions": None,
            "max_output_tokens": sampling.max_tokens,
            "model": self.request.model,
            "output": output,
            "parallel_tool_calls": False,
            "previous_response_id": None,
            "store": False,
            "temperature": 1.0 if sampling.temperature is None else sampling.temperature,
            "text": {"format": {"type": "text"}},
            "tool_choice": self.request.tool_choice or {"type": "function", "name": self.request.function},
            "tools": [
                {"type": "function", "name": name, "parameters": parameters, "strict": False}
                for name, parameters in self.request.functions.items()
            ],
            "top_p": 1.0 if sampling.top_p is None else sampling.top_p,
            "truncation": "disabled",
            "usage": usage,
            "metadata": {},
        }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _status(events: Sequence[Event]) -> str:
    cut = any(isinstance(event, Finish) and event.reason == "length" for event in events)
    return _INCOMPLETE if cut else _COMPLETED


def _usage(events: Sequence[Event]) -> dict[str, Any]:
    prefills = [event for event in events if isinstance(event, Prefill)]
    prompt = sum(event.prompt_tokens for event in prefills)
    completion = sum(isinstance(event, Token) for event in events)
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": sum(event.cached_tokens for event in prefills)},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + completion,
    }
