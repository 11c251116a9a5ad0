"""Moderations: how their request and response read. The verdicts are the application's own business."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Blob, Message, Prompt
from otel_genai.endpoint.endpoint import Endpoint
from otel_genai.instrumentors.openai.messages import said, turns
from otel_genai.instrumentors.openai.request import body, failure, field, listed, text, unparsed
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.operation import Request, Response
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from otel_genai.endpoint.endpoint import Arguments


def moderation_request(arguments: Arguments) -> Request:
    """The request, without its content."""
    return Request(
        operation=gen_ai.MODERATION,
        **server(arguments),
        model=text(body(arguments).get("model")),
    )


def moderation_prompt(arguments: Arguments) -> Prompt:
    """What is to be judged: texts, each for itself, or one message of several parts, of which inline pictures are left out."""
    judged = body(arguments).get("input")
    (message,) = turns([{"role": "user", "content": judged if listed(judged) else None}])
    parts = tuple(part for part in message.parts if not isinstance(part, Blob))
    return Prompt(messages=(Message(role="user", parts=parts),) if parts else said(judged))


def moderation_response(result: Any, content: bool) -> Response:  # noqa: ARG001
    """A complete answer."""
    return Response(id=text(field(result, "id")), model=text(field(result, "model")))


MODERATION: Final = Endpoint(
    default=Request(operation=gen_ai.MODERATION, provider=OPENAI),
    request=moderation_request,
    prompt=moderation_prompt,
    response=moderation_response,
    failure=failure,
    unparsed=unparsed,
)
