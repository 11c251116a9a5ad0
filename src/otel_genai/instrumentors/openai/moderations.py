"""Moderations: the reading of their request and response. Verdicts are not recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Blob, Message, Prompt
from otel_genai.endpoint.endpoint import Endpoint
from otel_genai.instrumentors.openai.messages import input_messages, text_messages
from otel_genai.instrumentors.openai.request import as_list, failure, field, request_body, text, unparsed
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.operation import Request, Response
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from otel_genai.endpoint.arguments import Arguments


def moderation_request(arguments: Arguments) -> Request:
    """The request, without its content."""
    return Request(
        operation=gen_ai.MODERATION,
        **server(arguments),
        model=text(request_body(arguments).get("model")),
    )


def moderation_prompt(arguments: Arguments) -> Prompt:
    """The input: a message for each text, or one message of several parts. Inline images are left out."""
    inputs = request_body(arguments).get("input")
    (message,) = input_messages([{"role": "user", "content": inputs if as_list(inputs) else None}])
    parts = tuple(part for part in message.parts if not isinstance(part, Blob))
    return Prompt(messages=(Message(role="user", parts=parts),) if parts else text_messages(inputs))


def moderation_response(result: Any, content: bool) -> Response:  # noqa: ARG001
    """The response: id and model."""
    return Response(id=text(field(result, "id")), model=text(field(result, "model")))


MODERATION: Final = Endpoint(
    default=Request(operation=gen_ai.MODERATION, provider=OPENAI),
    request=moderation_request,
    prompt=moderation_prompt,
    response=moderation_response,
    failure=failure,
    unparsed=unparsed,
)
