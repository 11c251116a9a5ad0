"""Limits on content that leaves the process: the user's redaction first, then a length limit for each part.

Attributes, events and recordings are made from operations that have passed these functions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import (
    Blob,
    Compaction,
    Reasoning,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_genai.content import Message, Part
    from otel_genai.operation import Operation

    Edit = Callable[[str], str]

_ELLIPSIS: Final = "…"


def has_content(operation: Operation) -> bool:
    """Whether the operation has a prompt, an answer or an error message."""
    has_message = operation.failure is not None and operation.failure.message is not None
    return operation.prompt is not None or bool(operation.response.messages) or has_message


def without(operation: Operation) -> Operation:
    """The operation with no content at all."""
    failure = operation.failure
    return operation._replace(
        prompt=None,
        response=operation.response._replace(messages=()),
        failure=None if failure is None else replace(failure, message=None, stacktrace=None),
    )


def redacted(operation: Operation, redact: Edit) -> Operation:
    """The operation with the user's function applied to every text."""
    return _edited(operation, lambda part: _with_text(part, redact), redact)


def limited(operation: Operation, limit: int) -> Operation:
    """The operation with every text cut to `limit` characters. Inline data above the limit is left out: a part of it is useless."""

    def cut(text: str) -> str:
        return text if len(text) <= limit else text[: max(limit - 1, 0)] + _ELLIPSIS

    def shorten(part: Part) -> Part:
        if isinstance(part, Blob):
            return part if len(part.content) <= limit else replace(part, content="")
        return _with_text(part, cut)

    return _edited(operation, shorten, cut)


def _edited(operation: Operation, edit_part: Callable[[Part], Part], edit: Edit) -> Operation:
    def edit_message(message: Message) -> Message:
        return replace(message, parts=tuple(edit_part(part) for part in message.parts))

    prompt, response, failure = operation.prompt, operation.response, operation.failure
    if prompt is not None:
        prompt = replace(
            prompt,
            messages=tuple(edit_message(message) for message in prompt.messages),
            system_instructions=tuple(edit_part(part) for part in prompt.system_instructions),
        )
    if failure is not None and failure.message is not None:
        failure = replace(
            failure,
            message=edit(failure.message),
            stacktrace=None if failure.stacktrace is None else edit(failure.stacktrace),
        )
    return operation._replace(
        prompt=prompt,
        response=response._replace(messages=tuple(edit_message(message) for message in response.messages)),
        failure=failure,
    )


def _with_text(part: Part, edit: Edit) -> Part:
    match part:
        case Text() | Reasoning():
            return replace(part, content=edit(part.content))
        case ToolCall():
            return replace(part, arguments=_leaves(part.arguments, edit))
        case ToolCallResponse():
            return replace(part, response=_leaves(part.response, edit))
        case ServerToolCall():
            return replace(part, call=_leaves(part.call, edit))
        case ServerToolCallResponse():
            return replace(part, response=_leaves(part.response, edit))
        case Compaction() if part.content is not None:
            return replace(part, content=edit(part.content))
        case Uri():
            return replace(part, uri=edit(part.uri))
        case _:
            return part


def _leaves(value: Any, edit: Edit) -> Any:
    match value:
        case str():
            return edit(value)
        case dict():
            return {key: _leaves(item, edit) for key, item in value.items()}
        case list() | tuple():
            return [_leaves(item, edit) for item in value]
        case _:
            return value
