"""Chat completions: the reading of their request, response, stream and content."""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Prompt
from otel_genai.endpoint.endpoint import Endpoint, Fold
from otel_genai.instrumentors.openai.messages import ChoiceFold, input_messages, output_message, tools
from otel_genai.instrumentors.openai.request import (
    SAMPLING,
    Parameter,
    Parameters,
    as_list,
    failure,
    field,
    fields_of,
    integer,
    number,
    output_type,
    parameters,
    request_body,
    text,
    texts,
    unparsed,
)
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.instrumentors.openai.usage import chat_usage
from otel_genai.operation import Request, Response
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_genai.endpoint.arguments import Arguments

_API: Final = "chat_completions"

COMPLETION_PARAMETERS: Final[Parameters] = {
    **SAMPLING,
    "n": Parameter("choice_count", integer),
    "max_tokens": Parameter("max_tokens", integer),
    "frequency_penalty": Parameter("frequency_penalty", number),
    "presence_penalty": Parameter("presence_penalty", number),
    "stop": Parameter("stop_sequences", texts),
    "seed": Parameter("seed", integer),
}
"""Parameters of text completions, which chat has too."""


def _speech_output(modalities: Any) -> str | None:
    return "speech" if "audio" in as_list(modalities) else None


_PARAMETERS: Final[Parameters] = {
    **COMPLETION_PARAMETERS,
    "max_completion_tokens": Parameter("max_tokens", integer, wins=True),
    "reasoning_effort": Parameter("reasoning_level", text),
    "service_tier": Parameter("service_tier", text),
    "response_format": Parameter("output_type", output_type),
    "modalities": Parameter("output_type", _speech_output, wins=True),
}


def chat_request(arguments: Arguments) -> Request:
    """The request, without its content."""
    return Request(
        operation=gen_ai.CHAT,
        api=_API,
        **server(arguments),
        **parameters(request_body(arguments), _PARAMETERS),
    )


def chat_prompt(arguments: Arguments) -> Prompt:
    """The messages and tools of the request."""
    fields = request_body(arguments)
    return Prompt(messages=input_messages(fields.get("messages")), tools=tools(fields.get("tools")))


def chat_response(result: Any, content: bool) -> Response:
    """The response of a call that was not streamed."""
    fields = fields_of(result)
    choices = fields.get("choices") or ()
    return Response(
        id=text(fields.get("id")),
        model=text(fields.get("model")),
        finish_reasons=tuple([text(choice.finish_reason) or gen_ai.ERROR for choice in choices]),
        usage=chat_usage(fields.get("usage")),
        service_tier=text(fields.get("service_tier")),
        system_fingerprint=text(fields.get("system_fingerprint")),
        messages=tuple(output_message(choice.message, choice.finish_reason) for choice in choices) if content else (),
    )


class ChatFold(Fold):
    """Gathers a streamed response. Chunks of several choices come in any order; usage comes last, in a chunk without choices."""

    def __init__(self, request: Request, content: bool) -> None:
        self._first: Any = None
        self._has_id = False
        self._last: Any = None
        self._usage: Any = None
        self._output_so_far = array("q")
        self._has_output = False
        self._finish_reasons: dict[int, str | None] = dict.fromkeys(
            range(request.choices_due or request.choice_count or 1)
        )
        self._choices: dict[int, ChoiceFold] | None = {} if content else None

    def add(self, chunk: Any) -> bool:
        """Add one chunk. True once a chunk has carried output; the first chunk of a stream only names the role."""
        if not self._has_id:
            # Azure's first chunk is about its content filter and has no id.
            self._first, self._has_id = chunk, bool(chunk.id)
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            self._usage = usage
            self._output_so_far.append(integer(field(usage, "completion_tokens")) or 0)
            self._last = chunk
        reasons, choices = self._finish_reasons, self._choices
        for choice in chunk.choices or ():
            index = choice.index
            if index not in reasons:
                index = integer(index) or 0  # some servers leave it out
                reasons.setdefault(index)
            if choice.finish_reason:
                reasons[index] = choice.finish_reason
                self._last = chunk
            if not self._has_output:
                self._has_output = _carries_output(choice.delta)
            if choices is not None:
                choices.setdefault(index, ChoiceFold()).add(choice.delta)
        return self._has_output

    def tokens(self) -> Sequence[int]:
        """Output tokens of each chunk, from servers that send usage with every chunk (vLLM's `continuous_usage_stats`)."""
        return [now - before for before, now in pairwise([0, *self._output_so_far])]

    def response(self) -> Response:
        """The response as far as it was received."""
        first, last = self._first, self._last
        return Response(
            id=text(field(first, "id")),
            model=text(field(first, "model")),
            finish_reasons=tuple(reason or gen_ai.ERROR for _, reason in sorted(self._finish_reasons.items())),
            usage=chat_usage(self._usage),
            # On the first chunk of some servers, on the last of others.
            service_tier=text(field(last, "service_tier")) or text(field(first, "service_tier")),
            system_fingerprint=text(field(last, "system_fingerprint")) or text(field(first, "system_fingerprint")),
            messages=tuple(
                choice.message(self._finish_reasons[index])
                for index, choice in sorted((self._choices or {}).items())
                if choice or self._finish_reasons[index]
            ),
        )


def _carries_output(delta: Any) -> bool:
    return delta is not None and any(
        field(delta, name)
        for name in ("content", "tool_calls", "refusal", "reasoning_content", "reasoning", "function_call", "audio")
    )


CHAT: Final = Endpoint(
    default=Request(operation=gen_ai.CHAT, provider=OPENAI, api=_API),
    request=chat_request,
    prompt=chat_prompt,
    response=chat_response,
    fold=ChatFold,
    failure=failure,
    unparsed=unparsed,
)
