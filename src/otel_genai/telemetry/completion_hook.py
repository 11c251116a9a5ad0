"""Completion hooks: third-party objects that receive prompts and answers, to upload them or to enrich the span.

The protocol and its message types are those of `opentelemetry-util-genai` 1.3b0 (`completion_hook.py`, `types.py`). That package is no
dependency of ours: hooks exist only where it is installed.
"""

from __future__ import annotations

import logging
from base64 import b64decode
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

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
    from otel_genai.config import CompletionHook
    from otel_genai.content import Message, Part
    from otel_genai.operation import Operation

_logger = logging.getLogger("otel_genai")

_TYPES: Final = "opentelemetry.util.genai.types"
_LOADER: Final = "opentelemetry.util.genai.completion_hook"


def usable(hook: CompletionHook | None, name: str | None) -> CompletionHook | None:
    """The hook that the user passed, or else the installed hook of this name; `None`, and a warning, if there is none.

    Raises ValueError for a passed hook without `opentelemetry-util-genai`.
    """
    if hook is not None and not supported():
        raise ValueError("completion_hook= needs opentelemetry-util-genai: pip install opentelemetry-util-genai")
    return hook if hook is not None or name is None else _load(name)


def _load(name: str) -> CompletionHook | None:
    if not supported():
        _logger.warning(
            "completion hook %r is not called: it needs opentelemetry-util-genai, which is not installed", name
        )
        return None
    # It reads the same variable, and warns of a name that it does not find.
    hook: CompletionHook = import_module(_LOADER).load_completion_hook()
    return hook


def supported() -> bool:
    """Whether `opentelemetry-util-genai` is installed, which defines the types that hooks take."""
    try:
        return find_spec(_TYPES) is not None
    except ModuleNotFoundError:
        return False


def call(hook: CompletionHook, operation: Operation, span: Any, log_record: Any) -> None:
    """Call the hook with the prompt and the answer of an operation."""
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
