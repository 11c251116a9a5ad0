"""Items of the Responses API, in its input and its output, as content records. An item is a dict or one of the client's models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import (
    Blob,
    Compaction,
    File,
    Message,
    Reasoning,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    Tool,
    ToolCall,
    ToolCallResponse,
    Uri,
)
from otel_genai.instrumentors.openai.messages import inline, parsed
from otel_genai.instrumentors.openai.request import as_list, field, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from otel_genai.content import Part

# Types of tool calls that the application runs.
_CALLS: Final = frozenset(
    {"function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call"}
)
# Types of tool calls that the server runs → fields of the call, fields of its response. Images are left out.
_SERVER_TOOLS: Final = {
    "web_search_call": (("action",), ()),
    "file_search_call": (("queries",), ("results",)),
    "code_interpreter_call": (("code", "container_id"), ("outputs",)),
    "mcp_call": (("server_label", "name", "arguments"), ("output", "error")),
    "image_generation_call": ((), ()),
}
_CALL_OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})


def kind(item: Any) -> str:
    """An item's type. A message needs none: its role tells."""
    return text(field(item, "type")) or ("message" if text(field(item, "role")) else "")


# ── whole items ────────────────────────────────────────────────────────────────────────────────────────────────────────


def input_messages(items: Any) -> tuple[Message, ...]:
    """The input of a request, a message an item. References to items that the server keeps are left out."""
    if isinstance(items, str):
        return (Message(role="user", parts=(Text(items),)),)
    return tuple(message for item in as_list(items) for message in _item_messages(item))


def _item_messages(item: Any) -> Iterator[Message]:
    found = tuple(parts(item))
    if kind(item) == "message":
        yield Message(role=text(field(item, "role")) or "user", parts=found)
    elif found:
        yield Message(role="tool" if kind(item) in _CALL_OUTPUTS else "assistant", parts=found)


def parts(item: Any) -> Iterator[Part]:
    """An item's content; nothing for a type that has no content record."""
    match kind(item):
        case "message":
            content = field(item, "content")
            if text(content):
                yield Text(content)
            for piece in as_list(content):
                yield from _content_part(piece)
        case "reasoning":
            for name in ("summary", "content"):
                for piece in as_list(field(item, name)):
                    thought = text(field(piece, "text"))
                    if thought:
                        yield Reasoning(thought)
        case "function_call":
            yield _call(item, parsed(field(item, "arguments")))
        case "custom_tool_call":
            yield _call(item, field(item, "input"))  # free text by definition, even if it looks like JSON
        case "function_call_output" | "custom_tool_call_output":
            yield ToolCallResponse(response=_plain(field(item, "output")), id=text(field(item, "call_id")))
        case "compaction":
            yield Compaction(id=text(field(item, "id")))  # the summary itself is encrypted
        case tool if tool in _SERVER_TOOLS:
            yield from _server_tool(item, tool)


def _server_tool(item: Any, item_type: str) -> Iterator[Part]:
    tool, item_id = item_type.removesuffix("_call"), text(field(item, "id"))
    call, response = ({name: _plain(field(item, name)) for name in names} for names in _SERVER_TOOLS[item_type])
    yield ServerToolCall(name=text(field(item, "name")) or tool, call=_typed(tool, call), id=item_id)
    if any(value is not None for value in response.values()):
        yield ServerToolCallResponse(response=_typed(tool, response), id=item_id)


def _typed(tool: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": tool, **{name: value for name, value in fields.items() if value is not None}}


def _call(item: Any, arguments: Any) -> ToolCall:
    return ToolCall(name=text(field(item, "name")) or "", arguments=arguments, id=text(field(item, "call_id")))


def _plain(output: Any) -> Any:
    # A string, or a list of content parts that may be models. `to_dict` of a model warns of values that its schema does not allow.
    if isinstance(output, list | tuple):
        return [_plain(item) for item in output]
    is_model = hasattr(type(output), "to_dict")
    return {name: _plain(value) for name, value in output if value is not None} if is_model else output


def _content_part(piece: Any) -> Iterator[Part]:
    match field(piece, "type"):
        case "input_text" | "output_text" | "text":
            content = text(field(piece, "text"))
            if content:
                yield Text(content)
        case "refusal":
            refusal = text(field(piece, "refusal"))
            if refusal:
                yield Text(refusal)
        case "input_image":
            yield from _file(piece, "image", url=field(piece, "image_url"))
        case "input_file":
            yield from _file(piece, "document", url=field(piece, "file_url"), data=field(piece, "file_data"))
        case "input_audio":
            audio = field(piece, "input_audio")
            data, audio_format = text(field(audio, "data")), text(field(audio, "format"))
            if data:
                yield Blob(modality="audio", content=data, mime_type=f"audio/{audio_format}" if audio_format else None)


def _file(piece: Any, modality: str, *, url: Any, data: Any = None) -> Iterator[Part]:
    address, content, file_id = text(url), text(data), text(field(piece, "file_id"))
    for candidate in (address, content):
        if candidate and candidate.startswith("data:"):
            yield inline(candidate, modality)
            return
    if file_id:
        yield File(modality=modality, file_id=file_id)
    elif address:
        yield Uri(modality=modality, uri=address)
    elif content:
        yield inline(content, modality)


def tools(definitions: Any) -> tuple[Tool, ...]:
    """The tools offered to the model, by name and type; a tool that the server runs has its type as name."""
    return tuple(_tool(definition) for definition in as_list(definitions))


def _tool(definition: Any) -> Tool:
    tool_type = text(field(definition, "type")) or "function"
    return Tool(name=text(field(definition, "name")) or tool_type, type=tool_type)


def awaits_application(items: Iterable[Any]) -> bool:
    """Whether the model waits for the application to run a tool: an item is a call, and no item is its output."""
    outputs = {text(field(item, "call_id")) for item in items if kind(item).endswith("_output")}
    return any(kind(item) in _CALLS and text(field(item, "call_id")) not in outputs for item in items)


# ── items in pieces ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """A type of event that carries a piece of output, and the place of the piece in an item."""

    item: str = ""
    """Type of the item; empty for a piece that is not kept."""
    name: str = ""
    """Field of the item."""
    part: str = ""
    """Type of the part in that field; empty for a field that is a string."""
    number: str = "content_index"
    """Field of the event with the number of the part."""
    piece: str = "delta"
    """Field of the event with the piece."""


DELTAS: Final = {
    "response.output_text.delta": Delta("message", "content", "output_text"),
    "response.refusal.delta": Delta("message", "content", "refusal"),
    "response.reasoning_summary_text.delta": Delta("reasoning", "summary", "summary_text", "summary_index"),
    "response.reasoning_text.delta": Delta("reasoning", "content", "reasoning_text"),
    "response.function_call_arguments.delta": Delta("function_call", "arguments"),
    "response.custom_tool_call_input.delta": Delta("custom_tool_call", "input"),
    "response.mcp_call_arguments.delta": Delta(),
    "response.code_interpreter_call_code.delta": Delta(),
    "response.shell_call_command.delta": Delta(),
    "response.image_generation_call.partial_image": Delta(piece="partial_image_b64"),
    "response.audio.delta": Delta(),
    "response.audio.transcript.delta": Delta(),
}


class ItemFold:
    """Gathers one output item of a stream: the announced item, its pieces, and the finished item."""

    def __init__(self) -> None:
        self.announced: Any = None
        self.done: Any = None
        self._pieces: dict[tuple[Delta, int], list[str]] = {}

    def add(self, delta: Delta, index: int, piece: str) -> None:
        """Add one piece of part `index`."""
        self._pieces.setdefault((delta, index), []).append(piece)

    def item(self) -> Any:
        """The item as far as it was received."""
        if self.done is not None or not self._pieces:
            return self.announced if self.done is None else self.done
        gathered: dict[str, Any] = {name: field(self.announced, name) for name in ("name", "call_id")}
        for (delta, _), pieces in sorted(self._pieces.items(), key=lambda entry: entry[0][1]):
            gathered["type"] = delta.item
            received = "".join(pieces)
            if delta.part:
                part = {"type": delta.part, "refusal" if delta.part == "refusal" else "text": received}
                gathered.setdefault(delta.name, []).append(part)
            else:
                gathered[delta.name] = received
        return gathered
