"""The Responses API: how its request, response and stream of events read, whether a response is created, fetched or compacted."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import Endpoint, Fold
from otel_genai.instrumentors.openai.messages import finish_reason_of
from otel_genai.instrumentors.openai.request import (
    SAMPLING,
    Parameter,
    Parameters,
    body,
    failure,
    field,
    integer,
    listed,
    output_type,
    parameters,
    text,
    unparsed,
)
from otel_genai.instrumentors.openai.response_items import (
    DELTAS,
    ItemFold,
    awaits_application,
    kind,
    parts,
    tools,
    turns,
)
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.instrumentors.openai.usage import response_usage
from otel_genai.operation import Request, Response
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_genai.endpoint.endpoint import Arguments

_API: Final = "responses"
_MISSING: Final = "error"
_PARAMETERS: Final[Parameters] = {
    **SAMPLING,
    "max_output_tokens": Parameter("max_tokens", integer),
    "service_tier": Parameter("service_tier", text),
    "previous_response_id": Parameter("previous_response_id", text),
}
# Why a response is incomplete → the word that chat completions have for it.
_INCOMPLETE: Final = {"max_output_tokens": "length"}


# ── requests ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _request(operation: str, arguments: Arguments, **fields: Any) -> Request:
    return Request(operation=operation, **server(arguments), api=_API, **fields)


def create_request(arguments: Arguments) -> Request:
    """The request for a new response, without its content."""
    fields = body(arguments)
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
    """The input, instructions and tools of the request, as sent."""
    fields = body(arguments)
    instructions = text(fields.get("instructions"))
    return Prompt(
        messages=turns(fields.get("input")),
        system_instructions=(Text(instructions),) if instructions else (),
        tools=tools(fields.get("tools")),
    )


def fetch_request(arguments: Arguments) -> Request:
    """The request for a response that exists already, which may be streamed from some event on."""
    cursor = integer(arguments.kwargs.get("starting_after"))
    return _request(
        gen_ai.FETCH_RESPONSE,
        arguments,
        response_id=text(arguments.args[0] if arguments.args else arguments.kwargs.get("response_id")),
        stream=bool(arguments.kwargs.get("stream")),
        stream_cursor=None if cursor is None else str(cursor),
    )


# ── responses ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def created(result: Any, content: bool) -> Response:
    """A new response: complete, or only queued if it is made in the background."""
    if result is None:
        return Response()
    status = text(field(result, "status"))
    items = listed(field(result, "output"))
    return _created(result, items, _MISSING if status is None else _reason(status, result, items), content)


def _created(result: Any, items: Sequence[Any], reason: str | None, content: bool) -> Response:
    return Response(
        id=text(field(result, "id")),
        model=text(field(result, "model")),
        conversation_id=text(field(field(result, "conversation"), "id")),
        compacted=any(kind(item) == "compaction" for item in items),
        finish_reasons=() if reason is None else (reason,),
        usage=response_usage(field(result, "usage")),
        service_tier=text(field(result, "service_tier")),
        messages=_answer(items, reason) if content else (),
    )


def fetched(result: Any, content: bool) -> Response:
    """A response that existed already. Its tokens were counted when it was created."""
    return _fetched(result, text(field(result, "status")), listed(field(result, "output")), content)


def _fetched(result: Any, status: str | None, items: Sequence[Any], content: bool) -> Response:
    reason = _reason(status, result, items)
    return Response(
        id=text(field(result, "id")),
        model=text(field(result, "model")),
        status=status,
        finish_reasons=() if reason is None else (reason,),
        service_tier=text(field(result, "service_tier")),
        messages=_answer(items, reason) if content else (),
    )


def compacted(result: Any, content: bool) -> Response:  # noqa: ARG001  # what is compacted is encrypted
    """A shorter account of a conversation. It has no status, and so no reason to finish."""
    return Response(
        id=text(field(result, "id")),
        model=text(field(result, "model")),
        compacted=result is not None,
        usage=response_usage(field(result, "usage")),
        service_tier=text(field(result, "service_tier")),
    )


def _reason(status: str | None, result: Any, items: Sequence[Any]) -> str | None:
    match status:
        case "completed":
            return "tool_calls" if awaits_application(items) else "stop"
        case "incomplete":
            reason = text(field(field(result, "incomplete_details"), "reason")) or _MISSING
            return _INCOMPLETE.get(reason, reason)
        case "failed" | "cancelled":
            return _MISSING
    return None  # not finished yet


def _answer(items: Sequence[Any], reason: str | None) -> tuple[Message, ...]:
    said = tuple(part for item in items for part in parts(item))
    if not said and reason in {None, _MISSING}:
        return ()
    return (Message(role="assistant", parts=said, finish_reason=None if reason is None else finish_reason_of(reason)),)


# ── streams ────────────────────────────────────────────────────────────────────────────────────────────────────────────

# Events that bring the response as it stands → the status that it has ended in, if it has.
_SNAPSHOTS: Final = {
    "response.created": None,
    "response.queued": None,
    "response.in_progress": None,
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}


class ResponseFold(Fold):
    """A streamed response. Its last event brings all of it; until then there are the first one, items that are done, and deltas."""

    def __init__(self, request: Request, content: bool) -> None:
        self._fetched = request.operation == gen_ai.FETCH_RESPONSE
        self._content = content
        self._latest: Any = None
        self._status: str | None = None
        self._ended = False
        self._begun = False
        self._items: defaultdict[int, ItemFold] = defaultdict(ItemFold)

    def add(self, chunk: Any) -> bool:
        """Take in one event. True once there is output; that a response or an item is under way is none yet."""
        event = text(field(chunk, "type")) or ""
        delta = DELTAS.get(event)
        if delta is None:
            self._take_in(event, chunk)
        elif piece := text(field(chunk, delta.piece)):
            self._begun = True
            if self._content and delta.item:
                index = integer(field(chunk, delta.number)) or 0
                self._items[_position(chunk)].add(delta, index, piece)
        return self._begun

    def _take_in(self, event: str, chunk: Any) -> None:
        if event in _SNAPSHOTS:
            self._latest = field(chunk, "response") or self._latest
            ended_in = _SNAPSHOTS[event]
            self._ended = ended_in is not None
            self._status = ended_in or text(field(self._latest, "status"))
            self._begun = self._begun or (self._ended and bool(field(self._latest, "output")))
        elif event == "response.output_item.added":
            self._items[_position(chunk)].announced = field(chunk, "item")
        elif event == "response.output_item.done":
            item = field(chunk, "item")
            self._items[_position(chunk)].done = item
            # A server may send a call at once and not in pieces. Reasoning that came without any stays hidden.
            self._begun = self._begun or kind(item) != "reasoning"

    def response(self) -> Response:
        """What has been received so far."""
        # Some servers leave the output out of the last event: they have sent it.
        items = (listed(field(self._latest, "output")) if self._ended else ()) or [
            item for _, fold in sorted(self._items.items()) if (item := fold.item()) is not None
        ]
        if self._fetched:
            return _fetched(self._latest, self._status, items, self._content)
        reason = _reason(self._status, self._latest, items) if self._ended else _MISSING
        return _created(self._latest, items, reason, self._content)


def _position(chunk: Any) -> int:
    return integer(field(chunk, "output_index")) or 0


# ── the table ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _endpoint(
    request: Callable[[Arguments], Request], response: Callable[[Any, bool], Response], **others: Any
) -> Endpoint:
    return Endpoint(request=request, response=response, fold=ResponseFold, failure=failure, unparsed=unparsed, **others)


_CHAT: Final = Request(operation=gen_ai.CHAT, provider=OPENAI, api=_API)
_FETCH: Final = Request(operation=gen_ai.FETCH_RESPONSE, provider=OPENAI, api=_API)

CREATE: Final = _endpoint(create_request, created, default=_CHAT, prompt=create_prompt)
FETCH: Final = _endpoint(fetch_request, fetched, default=_FETCH)
COMPACT: Final = _endpoint(create_request, compacted, default=_CHAT, prompt=create_prompt)
