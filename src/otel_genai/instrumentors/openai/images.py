"""Images, generated, edited and varied: how their request, response and stream read. The pictures themselves are never recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Uri
from otel_genai.endpoint.endpoint import Endpoint, Fold
from otel_genai.instrumentors.openai.messages import said
from otel_genai.instrumentors.openai.request import body, failure, field, integer, listed, text, unparsed
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.instrumentors.openai.usage import media_usage
from otel_genai.operation import Request, Response, Usage
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.endpoint.endpoint import Arguments

_OUTPUT_TYPE: Final = "image"


def image_request(arguments: Arguments) -> Request:
    """The request, without its content."""
    fields = body(arguments)
    return Request(
        operation=gen_ai.GENERATE_CONTENT,
        **server(arguments),
        model=text(fields.get("model")),
        stream=bool(fields.get("stream")),
        choice_count=integer(fields.get("n")),
        output_type=_OUTPUT_TYPE,
    )


def image_prompt(arguments: Arguments) -> Prompt:
    """What the picture is to show, as sent; a variation has no words, and uploaded pictures are left out."""
    return Prompt(messages=said(body(arguments).get("prompt")))


def image_response(result: Any, content: bool) -> Response:
    """A complete answer."""
    return Response(
        usage=media_usage(field(result, "usage")),
        messages=tuple(_pictures(field(result, "data"))) if content else (),
    )


def _pictures(data: Any) -> Iterator[Message]:
    for picture in listed(data):
        url = text(field(picture, "url"))
        # Some servers put the picture itself where its address belongs.
        if url and not url.startswith("data:"):
            yield Message(role="assistant", parts=(Uri(modality="image", uri=url),), finish_reason="stop")


class ImageFold(Fold):
    """A streamed picture: sketches of it, and then the whole, with usage. No event outlives its taking in, for each is a picture."""

    def __init__(self, request: Request, content: bool) -> None:  # noqa: ARG002
        self._usage: Usage | None = None
        self._begun = False

    def add(self, chunk: Any) -> bool:
        """Take in one event. True once there is a sketch."""
        self._usage = media_usage(field(chunk, "usage")) or self._usage
        self._begun = self._begun or bool(field(chunk, "b64_json"))
        return self._begun

    def response(self) -> Response:
        """What has been received so far."""
        return Response(usage=self._usage)


IMAGE: Final = Endpoint(
    default=Request(operation=gen_ai.GENERATE_CONTENT, provider=OPENAI, output_type=_OUTPUT_TYPE),
    request=image_request,
    prompt=image_prompt,
    response=image_response,
    fold=ImageFold,
    failure=failure,
    unparsed=unparsed,
)
