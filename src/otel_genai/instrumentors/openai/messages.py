"""Content: the client's messages, whole or in deltas, into ours. Dicts and the client's models are read alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Blob, File, Message, Reasoning, Text, Tool, ToolCall, ToolCallResponse, Uri
from otel_genai.instrumentors.openai.request import field, integer, listed, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.content import Part

# The client's reasons → the conventions' for messages, where they differ.
_FINISH_REASONS: Final = {"tool_calls": "tool_call", "function_call": "tool_call"}
# Servers that speak this protocol name it either way.
_REASONING_FIELDS: Final = ("reasoning_content", "reasoning")


def said(value: Any) -> tuple[Message, ...]:
    """One text or several, each a user's message. What is no text is left out."""
    return tuple(Message(role="user", parts=(Text(content),)) for content in texts(value) or () if content)


def turns(messages: Any) -> tuple[Message, ...]:
    """The conversation as sent."""
    return tuple(_turn(message) for message in listed(messages))


def _turn(message: Any) -> Message:
    role = text(field(message, "role")) or "user"
    if role in {"tool", "function"}:
        parts: list[Part] = [
            ToolCallResponse(response=field(message, "content"), id=text(field(message, "tool_call_id")))
        ]
    else:
        parts = list(_parts(message))
    return Message(role=role, parts=tuple(parts), name=text(field(message, "name")))


def answer(message: Any, finish_reason: str | None) -> Message:
    """One choice of a complete answer."""
    return Message(role="assistant", parts=tuple(_parts(message)), finish_reason=finish_reason_of(finish_reason))


def finish_reason_of(reason: str | None) -> str:
    """The message's word for why a choice ended; `error` if it should have and did not."""
    return "error" if reason is None else _FINISH_REASONS.get(reason, reason)


def _parts(message: Any) -> Iterator[Part]:
    for name in _REASONING_FIELDS:
        reasoning = text(field(message, name))
        if reasoning:
            yield Reasoning(reasoning)
            break
    content = field(message, "content")
    if text(content):
        yield Text(content)
    for item in listed(content):
        yield from _content_part(item)
    refusal = text(field(message, "refusal"))
    if refusal:
        yield Text(refusal)
    for call in listed(field(message, "tool_calls")):
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
    """Data that came with the message: a data URL (`data:image/png;base64,iVBOR…`), or base64 alone."""
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
    """A tool call's arguments: JSON as what it says, anything else as it is."""
    # A stream that was cut leaves half an object: better its text than nothing.
    try:
        return json.loads(arguments)
    except (TypeError, ValueError):
        return arguments


def tools(definitions: Any) -> tuple[Tool, ...]:
    """The tools offered to the model, by name and type."""
    return tuple(_tool(definition) for definition in listed(definitions))


def _tool(definition: Any) -> Tool:
    kind = text(field(definition, "type")) or "function"
    return Tool(name=text(field(field(definition, kind), "name")) or kind, type=kind)


class AnswerFold:
    """One choice of a streamed answer."""

    def __init__(self) -> None:
        self._reasoning: list[str] = []
        self._text: list[str] = []
        self._calls: dict[int, _CallFold] = {}

    def add(self, delta: Any) -> None:
        """Take in what one chunk adds to this choice."""
        for name in _REASONING_FIELDS:
            piece = text(field(delta, name))
            if piece:
                self._reasoning.append(piece)
                break
        for name in ("content", "refusal"):
            piece = text(field(delta, name))
            if piece:
                self._text.append(piece)
        for call in listed(field(delta, "tool_calls")):
            index = integer(call.index)
            if index is None:
                # Some servers leave it out: what brings an id is a new call, what brings none belongs to the last.
                index = len(self._calls) if text(call.id) else max(self._calls, default=0)
            self._calls.setdefault(index, _CallFold()).add(call)

    def __bool__(self) -> bool:
        """Whether anything was received but the role: an answer that never began is not one."""
        return bool(self._reasoning or self._text or self._calls)

    def message(self, finish_reason: str | None) -> Message:
        """What has been received so far."""
        parts: list[Part] = []
        if self._reasoning:
            parts.append(Reasoning("".join(self._reasoning)))
        if self._text:
            parts.append(Text("".join(self._text)))
        parts += [call.part() for _, call in sorted(self._calls.items())]
        return Message(role="assistant", parts=tuple(parts), finish_reason=finish_reason_of(finish_reason))


class _CallFold:
    """One tool call: its first delta has id and name, the others pieces of the arguments."""

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
