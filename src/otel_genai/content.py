"""The records of content: messages, their parts, tools and a prompt. They are built only where somebody wants content.

Each follows the part types of the conventions' schemas (`gen-ai-input-messages.json` and its siblings).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text, from a person or a model."""

    content: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What a model says that it thought before it answered."""

    content: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a function called. `arguments` is parsed JSON, or the raw string where it does not parse."""

    name: str
    arguments: Any = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallResponse:
    """What a called function answered."""

    response: Any
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes carried inline, still in base64 as they went over the wire."""

    modality: str
    content: str
    mime_type: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file that the provider holds, by its id."""

    modality: str
    file_id: str
    mime_type: str | None = None


@dataclass(frozen=True, slots=True)
class Uri:
    """Something that the provider fetches by its address."""

    modality: str
    uri: str
    mime_type: str | None = None


@dataclass(frozen=True, slots=True)
class ServerToolCall:
    """A tool that the provider runs by itself: what it was asked to do. `call` has a `type`, and is the provider's otherwise."""

    name: str
    call: Mapping[str, Any]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ServerToolCallResponse:
    """What a tool of the provider's own came to. `response` has a `type`, and is the provider's otherwise."""

    response: Mapping[str, Any]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Compaction:
    """Here the provider replaced the conversation so far by a shorter account, which it may keep to itself."""

    id: str | None = None
    content: str | None = None


Part = (
    Text
    | Reasoning
    | ToolCall
    | ToolCallResponse
    | ServerToolCall
    | ServerToolCallResponse
    | Blob
    | File
    | Uri
    | Compaction
)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `finish_reason` is set on a model's answers only."""

    role: str
    parts: tuple[Part, ...] = ()
    name: str | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool offered to the model. Its description and parameters are left out: the conventions advise against them."""

    name: str
    type: str = "function"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What was asked, word for word. It is built only if content capture is on and the span is recorded."""

    messages: tuple[Message, ...] = ()
    system_instructions: tuple[Part, ...] = ()
    tools: tuple[Tool, ...] = ()
