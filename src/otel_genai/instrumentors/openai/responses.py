"""The Responses API: the reading of request, response and stream of a response that is created, fetched or compacted."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import Endpoint, Fold
from otel_genai.instrumentors.openai.messages import message_finish_reason
from otel_genai.instrumentors.openai.request import (
    SAMPLING,
    Parameter,
    Parameters,
    as_list,
    failure,
    field,
    integer,
    output_type,
    parameters,
    request_body,
    text,
    unparsed,
)
from otel_genai.instrumentors.openai.response_items import (
    DELTAS,
    ItemFold,
    awaits_application,
    input_messages,
    kind,
    parts,
    tools,
)
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.instrumentors.openai.usage import response_usage
from otel_genai.operation import Request, Response
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_genai.endpoint.arguments import Arguments

_API: Final = "responses"
_PARAMETERS: Final[Parameters] = {
    **SAMPLING,
    "max_output_tokens": Parameter("max_tokens", integer),
    "service_tier": Parameter("service_tier", text),
    "previous_response_id": Parameter("previous_response_id", text),
}
# Reason of an incomplete response → finish reason of chat completions.
_INCOMPLETE: Final = {"max_output_tokens": gen_ai.LENGTH}


# ── requests ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _request(operation: str, arguments: Arguments, **fields: Any) -> Request:
    return Request(operation=operation, **server(arguments), api=_API, **fields)


def create_request(arguments: Arguments) -> Request:
    """The request for a new response, without its content."""
    fields = request_body(arguments)
    conversation = fields.get("conversation")
    return _request(
        gen_ai.CHAT,
        arguments,
        **parameters(fields, _PARAMETERS),
        output_type=output_type(fields.get("text_format")) or output_type(field(fields.get("text"), "format")),
        reasoning_level=text(field(fields.get("reasoning"), "effort")),
        conversation_id=text(conversation) or text(field(conversation, "id")),
        prompt_name=text(field(fields.get("prompt"), "id")),
        prompt_version=text(field(fields.get("prompt"), "version")),
    )


def create_prompt(arguments: Arguments) -> Prompt:
    """The input, instructions and tools of the request."""
    fields = request_body(arguments)
    instructions = text(fields.get("instructions"))
    return Prompt(
        messages=input_messages(fields.get("input")),
        system_instructions=(Text(instructions),) if instructions else (),
        tools=tools(fields.get("tools")),
    )


def fetch_request(arguments: Arguments) -> Request:
    """The request for an existing response. A stream of it may begin at any event."""
    cursor = integer(arguments.kwargs.get("starting_after"))
    return _request(
        gen_ai.FETCH_RESPONSE,
        arguments,
        response_id=text(arguments.positional_or_keyword(0, "response_id")),
        stream=bool(arguments.kwargs.get("stream")),
        stream_cursor=None if cursor is None else str(cursor),
    )


# ── responses ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def created_response(result: Any, content: bool) -> Response:
    """A new response: complete, or queued where it is made in the background."""
    if result is None:
        return Response()
    status = text(field(result, "status"))
    items = as_list(field(result, "output"))
    return _created(result, items, gen_ai.ERROR if status is None else _finish_reason(status, result, items), content)


def _created(result: Any, items: Sequence[Any], reason: str | None, content: bool) -> Response:
    return Response(
        id=text(field(result, "id")),
        model=text(field(result, "model")),
        conversation_id=text(field(field(result, "conversation"), "id")),
        compacted=any(kind(item) == "compaction" for item in items),
        finish_reasons=() if reason is None else (reason,),
        usage=response_usage(field(result, "usage")),
        service_tier=text(field(result, "service_tier")),
        messages=_output_messages(items, reason) if content else (),
    )


def fetched_response(result: Any, content: bool) -> Response:
    """An existing response, without usage: its tokens were reported when it was created."""
    return _fetched(result, text(field(result, "status")), as_list(field(result, "output")), content)


def _fetched(result: Any, status: str | None, items: Sequence[Any], content: bool) -> Response:
    reason = _finish_reason(status, result, items)
    return Response(
        id=text(field(result, "id")),
        model=text(field(result, "model")),
        status=status,
        finish_reasons=() if reason is None else (reason,),
        service_tier=text(field(result, "service_tier")),
        messages=_output_messages(items, reason) if content else (),
    )


def compacted_response(result: Any, content: bool) -> Response:  # noqa: ARG001  # the summary is encrypted
    """A summary of a conversation. It has no status, and so no finish reason."""
    return Response(
        id=text(field(result, "id")),
        model=text(field(result, "model")),
        compacted=result is not None,
        usage=response_usage(field(result, "usage")),
        service_tier=text(field(result, "service_tier")),
    )


def _finish_reason(status: str | None, result: Any, items: Sequence[Any]) -> str | None:
    match status:
        case "completed":
            return "tool_calls" if awaits_application(items) else gen_ai.STOP
        case "incomplete":
            reason = text(field(field(result, "incomplete_details"), "reason")) or gen_ai.ERROR
            return _INCOMPLETE.get(reason, reason)
        case "failed" | "cancelled":
            return gen_ai.ERROR
    return None  # not finished


def _output_messages(items: Sequence[Any], reason: str | None) -> tuple[Message, ...]:
    content = tuple(part for item in items for part in parts(item))
    if not content and reason in {None, gen_ai.ERROR}:
        return ()
    finish_reason = None if reason is None else message_finish_reason(reason)
    return (Message(role="assistant", parts=content, finish_reason=finish_reason),)


# ── streams ────────────────────────────────────────────────────────────────────────────────────────────────────────────

# Events that carry the whole response → its final status; `None` while it is not final.
_SNAPSHOTS: Final = {
    "response.created": None,
    "response.queued": None,
    "response.in_progress": None,
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}


class ResponseFold(Fold):
    """Gathers a streamed response. The last event carries all of it; the events before carry finished items and deltas."""

    def __init__(self, request: Request, content: bool) -> None:
        self._fetched = request.operation == gen_ai.FETCH_RESPONSE
        self._content = content
        self._latest: Any = None
        self._status: str | None = None
        self._ended = False
        self._has_output = False
        self._items: defaultdict[int, ItemFold] = defaultdict(ItemFold)

    def add(self, chunk: Any) -> bool:
        """Add one event. True once an event has carried output, which the announcement of a response or an item is not."""
        event = text(field(chunk, "type")) or ""
        delta = DELTAS.get(event)
        if delta is None:
            self._add_snapshot(event, chunk)
        elif piece := text(field(chunk, delta.piece)):
            self._has_output = True
            if self._content and delta.item:
                index = integer(field(chunk, delta.number)) or 0
                self._items[_position(chunk)].add(delta, index, piece)
        return self._has_output

    def _add_snapshot(self, event: str, chunk: Any) -> None:
        if event in _SNAPSHOTS:
            self._latest = field(chunk, "response") or self._latest
            final_status = _SNAPSHOTS[event]
            self._ended = final_status is not None
            self._status = final_status or text(field(self._latest, "status"))
            self._has_output = self._has_output or (self._ended and bool(field(self._latest, "output")))
        elif event == "response.output_item.added":
            self._items[_position(chunk)].announced = field(chunk, "item")
        elif event == "response.output_item.done":
            item = field(chunk, "item")
            self._items[_position(chunk)].done = item
            # A server may send a call whole, not in pieces. Reasoning without pieces is hidden: it is no output.
            self._has_output = self._has_output or kind(item) != "reasoning"

    def response(self) -> Response:
        """The response as far as it was received."""
        # Some servers leave the output out of the last event: its items came before.
        items = (as_list(field(self._latest, "output")) if self._ended else ()) or [
            item for _, fold in sorted(self._items.items()) if (item := fold.item()) is not None
        ]
        if self._fetched:
            return _fetched(self._latest, self._status, items, self._content)
        reason = _finish_reason(self._status, self._latest, items) if self._ended else gen_ai.ERROR
        return _created(self._latest, items, reason, self._content)


def _position(chunk: Any) -> int:
    return integer(field(chunk, "output_index")) or 0


# ── endpoints ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _endpoint(
    request: Callable[[Arguments], Request], response: Callable[[Any, bool], Response], **fields: Any
) -> Endpoint:
    return Endpoint(request=request, response=response, fold=ResponseFold, failure=failure, unparsed=unparsed, **fields)


_CHAT: Final = Request(operation=gen_ai.CHAT, provider=OPENAI, api=_API)
_FETCH: Final = Request(operation=gen_ai.FETCH_RESPONSE, provider=OPENAI, api=_API)

CREATE: Final = _endpoint(create_request, created_response, default=_CHAT, prompt=create_prompt)
FETCH: Final = _endpoint(fetch_request, fetched_response, default=_FETCH)
COMPACT: Final = _endpoint(create_request, compacted_response, default=_CHAT, prompt=create_prompt)
