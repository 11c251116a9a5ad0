"""Embeddings: how their request and response read. Of the vectors only the first one's length is looked at; texts are not recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.endpoint.endpoint import Endpoint
from otel_genai.instrumentors.openai.request import body, failure, field, integer, listed, text, told, unparsed
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.operation import Request, Response, Usage
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from otel_genai.endpoint.endpoint import Arguments

_FLOAT32_BYTES: Final = 4


def embedding_request(arguments: Arguments) -> Request:
    """The request, without its content.

    The client asks for base64 by itself where its caller named no format, and decodes it; that is its affair and not reported.
    """
    fields = body(arguments)
    encoding_format = text(fields.get("encoding_format"))
    return Request(
        operation=gen_ai.EMBEDDINGS,
        **server(arguments),
        model=text(fields.get("model")),
        encoding_formats=(encoding_format,) if encoding_format else None,
        dimensions=integer(fields.get("dimensions")),
    )


def embedding_response(result: Any, content: bool) -> Response:  # noqa: ARG001
    """A complete answer."""
    fields = told(result)
    counted = integer(field(fields.get("usage"), "prompt_tokens"))
    vectors = listed(fields.get("data"))
    return Response(
        model=text(fields.get("model")),
        dimensions=_dimensions(field(vectors[0], "embedding")) if vectors else None,
        usage=None if counted is None else Usage(input=counted),
    )


def _dimensions(vector: Any) -> int | None:
    if isinstance(vector, str):
        # Base64 is four characters for three bytes, its end padded with `=`.
        return (len(vector) * 3 // 4 - vector.count("=", -2)) // _FLOAT32_BYTES or None
    # Some servers answer with a vector a token: that list's length is not a dimension.
    return len(vector) if listed(vector) and isinstance(vector[0], int | float) else None


EMBEDDING: Final = Endpoint(
    default=Request(operation=gen_ai.EMBEDDINGS, provider=OPENAI),
    request=embedding_request,
    response=embedding_response,
    failure=failure,
    unparsed=unparsed,
)
