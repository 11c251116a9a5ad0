"""Embeddings: the reading of their request and response. The length of the first vector is read; texts are not recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.endpoint.endpoint import Endpoint
from otel_genai.instrumentors.openai.request import (
    as_list,
    failure,
    field,
    fields_of,
    integer,
    request_body,
    text,
    unparsed,
)
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.operation import Request, Response, Usage
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from otel_genai.endpoint.arguments import Arguments

_FLOAT32_BYTES: Final = 4


def embedding_request(arguments: Arguments) -> Request:
    """The request, without its content.

    Without a format from the caller, the client requests base64 and decodes it (openai resources/embeddings.py): not reported.
    """
    fields = request_body(arguments)
    encoding_format = text(fields.get("encoding_format"))
    return Request(
        operation=gen_ai.EMBEDDINGS,
        **server(arguments),
        model=text(fields.get("model")),
        encoding_formats=(encoding_format,) if encoding_format else None,
        dimensions=integer(fields.get("dimensions")),
    )


def embedding_response(result: Any, content: bool) -> Response:  # noqa: ARG001
    """The response: model, dimensions and usage."""
    fields = fields_of(result)
    tokens = integer(field(fields.get("usage"), "prompt_tokens"))
    vectors = as_list(fields.get("data"))
    return Response(
        model=text(fields.get("model")),
        dimensions=_dimensions(field(vectors[0], "embedding")) if vectors else None,
        usage=None if tokens is None else Usage(input=tokens),
    )


def _dimensions(vector: Any) -> int | None:
    if isinstance(vector, str):
        # Base64 has four characters for three bytes and is padded with `=`.
        return (len(vector) * 3 // 4 - vector.count("=", -2)) // _FLOAT32_BYTES or None
    # Some servers send a vector for each token: the length of that list is not the dimension.
    return len(vector) if as_list(vector) and isinstance(vector[0], int | float) else None


EMBEDDING: Final = Endpoint(
    default=Request(operation=gen_ai.EMBEDDINGS, provider=OPENAI),
    request=embedding_request,
    response=embedding_response,
    failure=failure,
    unparsed=unparsed,
)
