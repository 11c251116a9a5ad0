"""Hooks of the ecosystem that are given prompts and answers, to upload them or enrich the span.

The protocol and its message types are those of `opentelemetry-util-genai`, which is no dependency: hooks exist only where it is installed.
"""

from __future__ import annotations

import logging
from base64 import b64decode
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

from otel_genai.content import (
    Blob,
    Compaction,
    File,
    Prompt,
    Reasoning,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
)

if TYPE_CHECKING:
    from otel_genai.content import Message, Part
    from otel_genai.operation import Operation

_logger = logging.getLogger("otel_genai")

_TYPES: Final = "opentelemetry.util.genai.types"
_LOADER: Final = "opentelemetry.util.genai.completion_hook"


class CompletionHook(Protocol):
    """What a hook has: one method, called with every operation that ends, whatever was sampled or captured."""

    def on_completion(
        self,
        *,
        inputs: list[Any],
        outputs: list[Any],
        system_instruction: list[Any],
        tool_definitions: list[Any] | None = None,
        span: Any = None,
        log_record: Any = None,
    ) -> None:
        """`inputs` and `outputs` are messages of `opentelemetry-util-genai`."""


def load(name: str) -> CompletionHook | None:
    """The installed hook of that name; `None`, and a warning, if there is none."""
    if not supported():
        _logger.warning(
            "completion hook %r is not called: it needs opentelemetry-util-genai, which is not installed", name
        )
        return None
    hook: CompletionHook = import_module(_LOADER).load_completion_hook()  # reads the same variable, and warns by itself
    return hook


def supported() -> bool:
    """Whether the package that hooks take their types from is installed."""
    try:
        return find_spec(_TYPES) is not None
    except ModuleNotFoundError:
        return False


def call(hook: CompletionHook, operation: Operation, span: Any, log_record: Any) -> None:
    """Give the hook what was asked and answered."""
    types = import_module(_TYPES)
    prompt = operation.prompt or Prompt()
    hook.on_completion(
        inputs=[types.InputMessage(message.role, _parts(types, message)) for message in prompt.messages],
        outputs=[
            types.OutputMessage(message.role, _parts(types, message), message.finish_reason)
            for message in operation.response.messages
        ],
        system_instruction=[_part(types, part) for part in prompt.system_instructions],
        tool_definitions=[types.GenericToolDefinition(name=tool.name, type=tool.type) for tool in prompt.tools] or None,
        span=span,
        log_record=log_record,
    )


def _parts(types: Any, message: Message) -> list[Any]:
    return [_part(types, part) for part in message.parts]


def _part(types: Any, part: Part) -> Any:
    match part:
        case Text():
            return types.TextPart(part.content)
        case Reasoning():
            return types.ReasoningPart(part.content)
        case ToolCall():
            return types.ToolCallRequestPart(part.arguments, part.name, part.id)
        case ToolCallResponse():
            return types.ToolCallResponsePart(part.response, part.id)
        case ServerToolCall():
            return types.ServerToolCallPart(part.name, part.call, part.id)
        case ServerToolCallResponse():
            return types.ServerToolCallResponsePart(part.response, part.id)
        case Compaction():
            return types.CompactionPart(part.id, part.content)
        case Blob():
            return types.BlobPart(part.mime_type, part.modality, b64decode(part.content))
        case File():
            return types.FilePart(part.mime_type, part.modality, part.file_id)
        case Uri():
            return types.UriPart(part.mime_type, part.modality, part.uri)
