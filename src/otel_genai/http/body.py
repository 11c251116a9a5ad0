"""Bodies of responses that the application parses by itself: a call reads along, and the application keeps its very response object.

A body that is already read is decoded once more. A body that is still to be read is decoded as the application reads it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from otel_genai.endpoint.endpoint import Fold
from otel_genai.guard import Guard
from otel_genai.http import sse, tap
from otel_genai.operation import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_genai.call.listener import BodyListener

JSON: Final = "application/json"
_DONE: Final = b"[DONE]"
"""Data of the event that ends a stream of OpenAI's protocol; it is no JSON."""

_DECODING: Final = Guard("a span lacks part of a response that the application parses by itself")


class Loose(dict[str, Any]):
    """A JSON object with its names as attributes, as the libraries' models have them. A missing name reads as `None`."""

    __getattr__ = dict.get


def loose(body: bytes) -> Any:
    """A JSON document, its objects as `Loose`. Raises ValueError for anything else."""
    return json.loads(body, object_hook=Loose)


def media_type(http: Any) -> str:
    """The media type of an HTTP response: lower case, without parameters, empty if it has none."""
    return str(http.headers.get("content-type", "")).partition(";")[0].strip().lower()


def answer(http: Any) -> Any:
    """The JSON document of an HTTP response whose body is already read; `None` for another media type."""
    return loose(http.content) if media_type(http) == JSON else None


class BodyFold(Fold):
    """The fold of a body that is one JSON document."""

    def __init__(self, response: Callable[[Any, bool], Response], content: bool) -> None:
        """`response` is that of an endpoint: (document, with content) → response."""
        self._response = response
        self._content = content
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> bool:
        """Keep a piece of the body. False: pieces tell nothing about the model's pace."""
        self._pieces.append(piece)
        return False

    def response(self) -> Response:
        """The document's response; an empty one if the application stopped reading before the end."""
        try:
            document = loose(b"".join(self._pieces))
        except ValueError:
            return Response()
        return self._response(document, self._content)


def follow(http: Any, call: BodyListener) -> None:
    """Give `call` every chunk of a streamed body, or every piece of a JSON document, as the application reads them."""
    kind = media_type(http)
    events = sse.EventDecoder()

    def on_piece(piece: bytes) -> None:
        if kind == sse.MEDIA_TYPE:
            for data in events.decode(piece):
                with _DECODING:
                    if not data.strip().startswith(_DONE):
                        call.chunk(loose(data))
        elif kind == JSON:
            with _DECODING:
                call.piece(piece)

    tap.tap(http, call, on_piece)
