"""The records of content: messages, their parts, tools and a prompt. They are built only if content is captured.

Parts are those of the conventions' JSON schemas (`gen-ai-input-messages.json`, `gen-ai-output-messages.json`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a user or a model."""

    content: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The reasoning that a model reports before its answer."""

    content: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's call of a function. `arguments` is parsed JSON, or the raw string if that does not parse."""

    name: str
    arguments: Any = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallResponse:
    """The result of a function that the model called."""

    response: Any
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Blob:
    """Inline bytes, in base64 as sent."""

    modality: str
    content: str
    mime_type: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file that the provider stores, by its id."""

    modality: str
    file_id: str
    mime_type: str | None = None


@dataclass(frozen=True, slots=True)
class Uri:
    """A file that the provider fetches from a URI."""

    modality: str
    uri: str
    mime_type: str | None = None


@dataclass(frozen=True, slots=True)
class ServerToolCall:
    """A call of a tool that the provider runs itself. `call` has a `type`; its other keys are the provider's."""

    name: str
    call: Mapping[str, Any]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ServerToolCallResponse:
    """The result of a tool that the provider ran itself. `response` has a `type`; its other keys are the provider's."""

    response: Mapping[str, Any]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Compaction:
    """The place where the provider replaced the conversation by a summary. `content` is `None` if the provider keeps the summary secret."""

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
    """One message of a conversation. `finish_reason` is set on messages of a response only."""

    role: str
    parts: tuple[Part, ...] = ()
    name: str | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the model may call. The conventions advise against recording its description and parameters."""

    name: str
    type: str = "function"


@dataclass(frozen=True, slots=True)
class Prompt:
    """The content of a request. It is built only if content is captured and the span is recorded."""

    messages: tuple[Message, ...] = ()
    system_instructions: tuple[Part, ...] = ()
    tools: tuple[Tool, ...] = ()
