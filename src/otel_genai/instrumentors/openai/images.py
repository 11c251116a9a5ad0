"""Images, generated, edited and varied: the reading of their request, response and stream. Image data is never recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Uri
from otel_genai.endpoint.endpoint import Endpoint, Fold
from otel_genai.instrumentors.openai.messages import text_messages
from otel_genai.instrumentors.openai.request import as_list, failure, field, integer, request_body, text, unparsed
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.instrumentors.openai.usage import media_usage
from otel_genai.operation import Request, Response, Usage
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.endpoint.arguments import Arguments

_OUTPUT_TYPE: Final = "image"


def image_request(arguments: Arguments) -> Request:
    """The request, without its content."""
    fields = request_body(arguments)
    return Request(
        operation=gen_ai.GENERATE_CONTENT,
        **server(arguments),
        model=text(fields.get("model")),
        stream=bool(fields.get("stream")),
        choice_count=integer(fields.get("n")),
        output_type=_OUTPUT_TYPE,
    )


def image_prompt(arguments: Arguments) -> Prompt:
    """The prompt. A variation has none, and uploaded images are left out."""
    return Prompt(messages=text_messages(request_body(arguments).get("prompt")))


def image_response(result: Any, content: bool) -> Response:
    """The response of a call that was not streamed."""
    return Response(
        usage=media_usage(field(result, "usage")),
        messages=tuple(_image_messages(field(result, "data"))) if content else (),
    )


def _image_messages(data: Any) -> Iterator[Message]:
    for image in as_list(data):
        url = text(field(image, "url"))
        # Some servers send the image itself as a data URL.
        if url and not url.startswith("data:"):
            yield Message(role="assistant", parts=(Uri(modality="image", uri=url),), finish_reason=gen_ai.STOP)


class ImageFold(Fold):
    """Gathers a streamed image: partial images, then the whole with usage. It keeps no event, for each holds a whole image."""

    def __init__(self, request: Request, content: bool) -> None:  # noqa: ARG002
        self._usage: Usage | None = None
        self._has_output = False

    def add(self, chunk: Any) -> bool:
        """Add one event. True once an event has carried an image."""
        self._usage = media_usage(field(chunk, "usage")) or self._usage
        self._has_output = self._has_output or bool(field(chunk, "b64_json"))
        return self._has_output

    def response(self) -> Response:
        """The response as far as it was received."""
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
