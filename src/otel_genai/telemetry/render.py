"""Operations in the names of the conventions: pure functions from an operation to attributes, content and measurements."""

from __future__ import annotations

from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import (
    Blob,
    Compaction,
    File,
    Reasoning,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
)
from otel_genai.operation import Request, Response, Side
from otel_genai.semconv import gen_ai, general, openai, otel_genai
from otel_genai.semconv.metrics import Measure

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from otel_genai.content import Message, Part
    from otel_genai.operation import Operation, Timing, Usage

Attributes = dict[str, Any]


class _Rows:
    """Fields of a record, and the attribute that each becomes if it is known."""

    def __init__(self, kind: type[Request | Response], *rows: tuple[str, str]) -> None:
        fields, self._names = zip(*rows, strict=True)
        self._read = itemgetter(*map(kind._fields.index, fields))  # all at once: most of them are `None`

    def add(self, attributes: Attributes, record: Request | Response) -> None:
        for name, value in zip(self._names, self._read(record), strict=True):
            if value is not None:
                attributes[name] = value


_REQUEST_ROWS: Final = _Rows(
    Request,
    ("api", openai.API_TYPE),
    ("output_type", gen_ai.OUTPUT_TYPE),
    ("max_tokens", gen_ai.REQUEST_MAX_TOKENS),
    ("temperature", gen_ai.REQUEST_TEMPERATURE),
    ("top_p", gen_ai.REQUEST_TOP_P),
    ("top_k", gen_ai.REQUEST_TOP_K),
    ("frequency_penalty", gen_ai.REQUEST_FREQUENCY_PENALTY),
    ("presence_penalty", gen_ai.REQUEST_PRESENCE_PENALTY),
    ("stop_sequences", gen_ai.REQUEST_STOP_SEQUENCES),
    ("seed", gen_ai.REQUEST_SEED),
    ("reasoning_level", gen_ai.REQUEST_REASONING_LEVEL),
    ("previous_response_id", gen_ai.REQUEST_PREVIOUS_RESPONSE_ID),
    ("response_id", gen_ai.RESPONSE_ID),
    ("stream_cursor", gen_ai.REQUEST_STREAM_CURSOR),
    ("prompt_name", gen_ai.PROMPT_NAME),
    ("prompt_version", gen_ai.PROMPT_VERSION),
    ("encoding_formats", gen_ai.REQUEST_ENCODING_FORMATS),
    ("conversation_id", gen_ai.CONVERSATION_ID),
    ("dimensions", gen_ai.EMBEDDINGS_DIMENSION_COUNT),
)
# They follow the request's: the value that the server reports wins over the requested one.
_RESPONSE_ROWS: Final = _Rows(
    Response,
    ("id", gen_ai.RESPONSE_ID),
    ("model", gen_ai.RESPONSE_MODEL),
    ("status", gen_ai.RESPONSE_STATUS),
    ("service_tier", openai.RESPONSE_SERVICE_TIER),
    ("system_fingerprint", openai.RESPONSE_SYSTEM_FINGERPRINT),
    ("conversation_id", gen_ai.CONVERSATION_ID),
    ("dimensions", gen_ai.EMBEDDINGS_DIMENSION_COUNT),
)


# ── spans and events ───────────────────────────────────────────────────────────────────────────────────────────────────


def span_name(request: Request) -> str:
    """`{operation} {model}`, or the operation alone if no model was named."""
    return f"{request.operation} {request.model}" if request.model else request.operation


def creation_attributes(request: Request) -> Attributes:
    """The attributes that a sampler can use: set when the span starts."""
    if request.function is not None:
        return {general.CODE_FUNCTION_NAME: request.function}
    attributes: Attributes = {
        gen_ai.OPERATION_NAME: request.operation,
        gen_ai.PROVIDER_NAME: request.provider,
    }
    if request.model is not None:
        attributes[gen_ai.REQUEST_MODEL] = request.model
    if request.server_address is not None:
        attributes[general.SERVER_ADDRESS] = request.server_address
        if request.server_port is not None:
            attributes[general.SERVER_PORT] = request.server_port
    return attributes


def outcome_attributes(operation: Operation) -> Attributes:
    """All other attributes except content: set when the operation has ended."""
    attributes: Attributes = {}
    if operation.failure is not None:
        attributes[general.ERROR_TYPE] = operation.failure.type
    request, response, timing = operation.request, operation.response, operation.timing
    if request.function is not None:
        return attributes
    _REQUEST_ROWS.add(attributes, request)
    if request.stream:
        attributes[gen_ai.REQUEST_STREAM] = True
    if request.choice_count not in {None, 1}:
        attributes[gen_ai.REQUEST_CHOICE_COUNT] = request.choice_count
    if request.service_tier not in {None, "auto"}:
        attributes[openai.REQUEST_SERVICE_TIER] = request.service_tier

    _RESPONSE_ROWS.add(attributes, response)
    if response.compacted:
        attributes[gen_ai.CONVERSATION_COMPACTED] = True
    if response.finish_reasons:
        attributes[gen_ai.RESPONSE_FINISH_REASONS] = response.finish_reasons
    if response.usage is not None:
        _add_usage(attributes, response.usage)

    if timing.chunks and _is_streamed(request):
        attributes[gen_ai.RESPONSE_TIME_TO_FIRST_CHUNK] = timing.time_to_first_chunk
    if timing.first_token is not None:
        attributes[otel_genai.RESPONSE_TIME_TO_FIRST_TOKEN] = timing.time_to_first_token
    for phase in timing.phases:
        name = otel_genai.PHASE.format(phase.name)
        attributes[name] = attributes.get(name, 0.0) + phase.ended - phase.started
    if response.extra:
        attributes |= response.extra
        _add_loading_speed(attributes, timing)
    return attributes


def _add_loading_speed(attributes: Attributes, timing: Timing) -> None:
    size = attributes.get(otel_genai.LOAD_FILE_BYTES)
    if not size:
        return
    seconds = attributes.get(otel_genai.PHASE.format(otel_genai.READ_WEIGHTS), timing.duration)
    if seconds > 0:
        attributes[otel_genai.LOAD_BYTES_PER_SECOND] = size / seconds
    from_disk = attributes.get(otel_genai.LOAD_DISK_READ_BYTES)
    if from_disk is not None:
        # The system reads whole pages, and reads ahead: more than the files may come from the disk.
        attributes[otel_genai.LOAD_PAGE_CACHE_BYTES] = max(0, size - from_disk)


def _is_streamed(request: Request) -> bool:
    # The chunks of a model in this process are known even if the response is not streamed; then they are not reported.
    return request.stream or request.side is Side.CLIENT


def exception_attributes(operation: Operation) -> Attributes:
    """The attributes of the event of a failed operation; empty if it did not fail."""
    failure = operation.failure
    if failure is None:
        return {}
    attributes = creation_attributes(operation.request)
    attributes[general.EXCEPTION_TYPE] = failure.type
    if failure.message is not None:
        attributes[general.EXCEPTION_MESSAGE] = _clean(failure.message)
    if failure.stacktrace is not None:
        attributes[general.EXCEPTION_STACKTRACE] = _clean(failure.stacktrace)
    return attributes


def first_generation_attributes(operation: Operation, since_start: float | None) -> Attributes:
    """The attributes of the event of the first generation by an engine of this process.

    `since_start` is the time since the process began, in seconds.
    """
    attributes = creation_attributes(operation.request)
    if since_start is not None:
        attributes[otel_genai.SINCE_PROCESS_START] = since_start
    return attributes


def _add_usage(attributes: Attributes, usage: Usage) -> None:
    if usage.input is not None:
        attributes[gen_ai.USAGE_INPUT_TOKENS] = usage.input
    if usage.output is not None:
        attributes[gen_ai.USAGE_OUTPUT_TOKENS] = usage.output
    # Providers report zero where these do not apply; the conventions ask for them "when applicable".
    if usage.cache_read:
        attributes[gen_ai.USAGE_CACHE_READ_INPUT_TOKENS] = usage.cache_read
    if usage.cache_write:
        attributes[gen_ai.USAGE_CACHE_WRITE_INPUT_TOKENS] = usage.cache_write
    if usage.reasoning:
        attributes[gen_ai.USAGE_REASONING_OUTPUT_TOKENS] = usage.reasoning
    if usage.input_by_modality or usage.output_by_modality:
        _add_modalities(attributes, usage)


def _add_modalities(attributes: Attributes, usage: Usage) -> None:
    for counts, template in (
        (usage.input_by_modality, gen_ai.USAGE_MODALITY_INPUT_TOKENS),
        (usage.output_by_modality, gen_ai.USAGE_MODALITY_OUTPUT_TOKENS),
    ):
        for modality, count in (counts or {}).items():
            if count:
                attributes[template.format(modality)] = count


# ── content ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def content(operation: Operation) -> Attributes:
    """Prompt and answer in the conventions' message schema, as lists and dicts; empty if no content was captured."""
    attributes: Attributes = {}
    if operation.prompt is not None:
        if operation.prompt.system_instructions:
            attributes[gen_ai.SYSTEM_INSTRUCTIONS] = [_part(part) for part in operation.prompt.system_instructions]
        if operation.prompt.messages:
            attributes[gen_ai.INPUT_MESSAGES] = [_message(message) for message in operation.prompt.messages]
        if operation.prompt.tools:
            attributes[gen_ai.TOOL_DEFINITIONS] = [
                {"type": tool.type, "name": _clean(tool.name)} for tool in operation.prompt.tools
            ]
    if operation.response.messages:
        attributes[gen_ai.OUTPUT_MESSAGES] = [_message(message) for message in operation.response.messages]
    return attributes


def _message(message: Message) -> dict[str, Any]:
    rendered: dict[str, Any] = {"role": _clean(message.role), "parts": [_part(part) for part in message.parts]}
    if message.name is not None:
        rendered["name"] = _clean(message.name)
    if message.finish_reason is not None:
        rendered["finish_reason"] = _clean(message.finish_reason)
    return rendered


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text(content=text):
            return {"type": "text", "content": _clean(text)}
        case Reasoning(content=text):
            return {"type": "reasoning", "content": _clean(text)}
        case ToolCall():
            return _without_none({"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments})
        case ToolCallResponse():
            return _without_none({"type": "tool_call_response", "id": part.id}) | {"response": _cleaned(part.response)}
        case ServerToolCall():
            return _without_none(
                {"type": "server_tool_call", "id": part.id, "name": part.name, "server_tool_call": part.call}
            )
        case ServerToolCallResponse():
            return _without_none(
                {"type": "server_tool_call_response", "id": part.id, "server_tool_call_response": part.response}
            )
        case Compaction():
            return _without_none({"type": "compaction", "id": part.id, "content": part.content})
        case Blob():
            return _without_none(
                {"type": "blob", "mime_type": part.mime_type, "modality": part.modality, "content": part.content}
            )
        case File():
            return _without_none(
                {"type": "file", "mime_type": part.mime_type, "modality": part.modality, "file_id": part.file_id}
            )
        case Uri():
            return _without_none(
                {"type": "uri", "mime_type": part.mime_type, "modality": part.modality, "uri": part.uri}
            )


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _cleaned(value) for name, value in fields.items() if value is not None}


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return _clean(value)
        case dict():
            return {_clean(str(key)): _cleaned(item) for key, item in value.items()}
        case list() | tuple():
            return [_cleaned(item) for item in value]
        case None | bool() | int() | float():
            return value
        case _:
            return _clean(str(value))


def _clean(text: str) -> str:
    # A lone surrogate cannot be encoded, and exporters drop the whole attribute that holds one.
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


# ── measurements ───────────────────────────────────────────────────────────────────────────────────────────────────────


_EVERYTHING: Final = frozenset(Measure)
_BY_MODALITY: Final = (
    (Measure.INPUT_TOKENS_BY_MODALITY, "input", "input_by_modality"),
    (Measure.OUTPUT_TOKENS_BY_MODALITY, "output", "output_by_modality"),
    (Measure.CACHE_READ_TOKENS_BY_MODALITY, "cache_read", None),
    (Measure.CACHE_WRITE_TOKENS_BY_MODALITY, "cache_write", None),
    (Measure.REASONING_TOKENS_BY_MODALITY, "reasoning", None),
)
"""(measure, total, its breakdown)"""
_BY_PHASE: Final = (
    (Measure.QUEUE_DURATION, otel_genai.QUEUE),
    (Measure.PREFILL_DURATION, otel_genai.PREFILL),
    (Measure.DECODE_DURATION, otel_genai.DECODE),
)
_CUT_SHORT: Final = frozenset({gen_ai.ABORT, gen_ai.ERROR})


def measurements(
    operation: Operation, wanted: Container[Measure] = _EVERYTHING
) -> list[tuple[Measure, Sequence[float], Attributes]]:
    """(measure, values, attributes) for each wanted measure that is known. An unknown one is absent, never zero."""
    request, response, timing = operation.request, operation.response, operation.timing
    attributes = creation_attributes(request)
    if response.model is not None:
        attributes[gen_ai.RESPONSE_MODEL] = response.model
    known: list[tuple[Measure, Sequence[float], Attributes]] = []

    if timing.chunks and _is_streamed(request):
        if timing.time_to_first_chunk is not None and Measure.TIME_TO_FIRST_CHUNK in wanted:
            known.append((Measure.TIME_TO_FIRST_CHUNK, (timing.time_to_first_chunk,), attributes))
        if Measure.TIME_PER_OUTPUT_CHUNK in wanted and len(timing.chunks) > 1:
            gaps = [later - earlier for earlier, later in pairwise(timing.chunks)]
            known.append((Measure.TIME_PER_OUTPUT_CHUNK, gaps, attributes))

    if operation.failure is None and timing.time_to_first_token is not None:
        if Measure.TIME_TO_FIRST_TOKEN in wanted:
            known.append((Measure.TIME_TO_FIRST_TOKEN, (timing.time_to_first_token,), attributes))
        if Measure.TIME_PER_OUTPUT_TOKEN in wanted and response.usage is not None:
            mean = timing.time_per_output_token(response.usage.output, len(response.finish_reasons) or 1)
            if mean is not None:
                known.append((Measure.TIME_PER_OUTPUT_TOKEN, (mean,), attributes))

    if timing.phases and _is_complete(operation):
        for measure, phase in _BY_PHASE:
            parts = [part.ended - part.started for part in timing.phases if part.name == phase]
            if parts and measure in wanted:
                known.append((measure, (sum(parts),), attributes))

    if response.service_tier is not None or response.system_fingerprint is not None:
        attributes = attributes.copy()  # the metrics of chunks do not have these
        if response.service_tier is not None:
            attributes[openai.RESPONSE_SERVICE_TIER] = response.service_tier
        if response.system_fingerprint is not None:
            attributes[openai.RESPONSE_SYSTEM_FINGERPRINT] = response.system_fingerprint
    if Measure.DURATION in wanted:
        failed = {general.ERROR_TYPE: operation.failure.type} if operation.failure is not None else None
        known.append(
            (Measure.DURATION, (timing.ended - timing.started,), attributes | failed if failed else attributes)
        )
    usage = response.usage
    if usage is not None:
        if usage.input is not None and Measure.INPUT_TOKENS in wanted:
            known.append((Measure.INPUT_TOKENS, (usage.input,), attributes))
        if usage.output is not None and Measure.OUTPUT_TOKENS in wanted:
            known.append((Measure.OUTPUT_TOKENS, (usage.output,), attributes))
        for measure, total, breakdown in _BY_MODALITY:
            if measure in wanted:
                known += [
                    (measure, (count,), {**attributes, gen_ai.TOKEN_MODALITY: modality})
                    for modality, count in _by_modality(usage, total, breakdown)
                ]
    return known


def _is_complete(operation: Operation) -> bool:
    return (
        operation.failure is None
        and not operation.unfinished
        and _CUT_SHORT.isdisjoint(operation.response.finish_reasons)
    )


def _by_modality(usage: Usage, total: str, breakdown: str | None) -> list[tuple[str, int]]:
    counted = getattr(usage, total)
    if not counted:
        return []
    counts: dict[str, int] = dict((breakdown and getattr(usage, breakdown)) or {})
    counts[gen_ai.UNKNOWN_MODALITY] = counted - sum(counts.values())  # tokens that the breakdown leaves out
    return [(modality, count) for modality, count in counts.items() if count > 0]
