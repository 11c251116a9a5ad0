"""Content of chat messages, whole or in deltas, as content records. A message is a dict or one of the client's models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Blob, File, Message, Reasoning, Text, Tool, ToolCall, ToolCallResponse, Uri
from otel_genai.instrumentors.openai.request import as_list, field, integer, text, texts
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.content import Part

# OpenAI's finish reason → the conventions', where they differ.
_FINISH_REASONS: Final = {"tool_calls": "tool_call", "function_call": "tool_call"}
# No field of OpenAI's. Servers with reasoning models use one or the other name.
_REASONING_FIELDS: Final = ("reasoning_content", "reasoning")


def text_messages(value: Any) -> tuple[Message, ...]:
    """A user's message for each text: `value` is a text or a list, whose other items are left out."""
    return tuple(Message(role="user", parts=(Text(content),)) for content in texts(value) or () if content)


def input_messages(messages: Any) -> tuple[Message, ...]:
    """The messages of a request."""
    return tuple(_input_message(message) for message in as_list(messages))


def _input_message(message: Any) -> Message:
    role = text(field(message, "role")) or "user"
    if role in {"tool", "function"}:
        parts: list[Part] = [
            ToolCallResponse(response=field(message, "content"), id=text(field(message, "tool_call_id")))
        ]
    else:
        parts = list(_parts(message))
    return Message(role=role, parts=tuple(parts), name=text(field(message, "name")))


def output_message(message: Any, finish_reason: str | None) -> Message:
    """The message of one choice."""
    return Message(role="assistant", parts=tuple(_parts(message)), finish_reason=message_finish_reason(finish_reason))


def message_finish_reason(reason: str | None) -> str:
    """The conventions' finish reason of a message; `error` for a missing one."""
    return gen_ai.ERROR if reason is None else _FINISH_REASONS.get(reason, reason)


def _parts(message: Any) -> Iterator[Part]:
    for name in _REASONING_FIELDS:
        reasoning = text(field(message, name))
        if reasoning:
            yield Reasoning(reasoning)
            break
    content = field(message, "content")
    if text(content):
        yield Text(content)
    for item in as_list(content):
        yield from _content_part(item)
    refusal = text(field(message, "refusal"))
    if refusal:
        yield Text(refusal)
    for call in as_list(field(message, "tool_calls")):
        yield _tool_call(call)


def _content_part(item: Any) -> Iterator[Part]:
    kind = field(item, "type")
    value = field(item, kind) if isinstance(kind, str) else None
    match kind:
        case "text" | "refusal" if isinstance(value, str):
            yield Text(value)
        case "image_url" if text(field(value, "url")):
            yield _image(field(value, "url"))
        case "input_audio" if text(field(value, "data")):
            yield Blob(modality="audio", content=field(value, "data"), mime_type=f"audio/{field(value, 'format')}")
        case "file" if text(field(value, "file_id")):
            yield File(modality="document", file_id=field(value, "file_id"))
        case "file" if text(field(value, "file_data")):
            yield inline(field(value, "file_data"), "document")


def _image(url: str) -> Part:
    return inline(url, "image") if url.startswith("data:") else Uri(modality="image", uri=url)


def inline(data: str, modality: str) -> Blob:
    """Inline data: a data URL (`data:image/png;base64,iVBOR…`) or base64 alone."""
    if not data.startswith("data:"):
        return Blob(modality=modality, content=data)
    head, _, content = data.partition(",")
    mime_type = head.removeprefix("data:").partition(";")[0]
    return Blob(modality=modality, content=content, mime_type=mime_type or None)


def _tool_call(call: Any) -> ToolCall:
    function = field(call, "function") or field(call, "custom")
    arguments = field(function, "arguments")
    return ToolCall(
        name=text(field(function, "name")) or "",
        arguments=parsed(field(function, "input") if arguments is None else arguments),
        id=text(field(call, "id")),
    )


def parsed(arguments: Any) -> Any:
    """A tool call's arguments: the parsed JSON, or the string where it does not parse."""
    # A stream that ends early leaves half an object, which is kept as text.
    try:
        return json.loads(arguments)
    except (TypeError, ValueError):
        return arguments


def tools(definitions: Any) -> tuple[Tool, ...]:
    """The tools offered to the model, by name and type."""
    return tuple(_tool(definition) for definition in as_list(definitions))


def _tool(definition: Any) -> Tool:
    kind = text(field(definition, "type")) or "function"
    return Tool(name=text(field(field(definition, kind), "name")) or kind, type=kind)


class ChoiceFold:
    """Gathers one choice of a streamed response."""

    def __init__(self) -> None:
        self._reasoning: list[str] = []
        self._text: list[str] = []
        self._calls: dict[int, _ToolCallFold] = {}

    def add(self, delta: Any) -> None:
        """Add the delta of one chunk."""
        for name in _REASONING_FIELDS:
            piece = text(field(delta, name))
            if piece:
                self._reasoning.append(piece)
                break
        for name in ("content", "refusal"):
            piece = text(field(delta, name))
            if piece:
                self._text.append(piece)
        for call in as_list(field(delta, "tool_calls")):
            index = integer(call.index)
            if index is None:
                # Some servers leave it out: a delta with an id begins a call, one without continues the last.
                index = len(self._calls) if text(call.id) else max(self._calls, default=0)
            self._calls.setdefault(index, _ToolCallFold()).add(call)

    def __bool__(self) -> bool:
        """Whether any output was received; a role alone is none."""
        return bool(self._reasoning or self._text or self._calls)

    def message(self, finish_reason: str | None) -> Message:
        """The message as far as it was received."""
        parts: list[Part] = []
        if self._reasoning:
            parts.append(Reasoning("".join(self._reasoning)))
        if self._text:
            parts.append(Text("".join(self._text)))
        parts += [call.part() for _, call in sorted(self._calls.items())]
        return Message(role="assistant", parts=tuple(parts), finish_reason=message_finish_reason(finish_reason))


class _ToolCallFold:
    """Gathers one tool call: the first delta has id and name, the others have pieces of the arguments."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._name = ""
        self._arguments: list[str] = []

    def add(self, call: Any) -> None:
        self._id = text(call.id) or self._id
        if call.function is not None:
            self._name = text(call.function.name) or self._name
            self._arguments.append(call.function.arguments or "")

    def part(self) -> ToolCall:
        return ToolCall(name=self._name, arguments=parsed("".join(self._arguments)), id=self._id)
