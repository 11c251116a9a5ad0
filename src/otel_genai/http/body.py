"""Raw responses: the application reads the body itself, in whichever of the HTTP client's ways, and the call reads along.

The application keeps its very object. A body that has arrived is read once more; one that is still to come is tapped where all the
HTTP client's ways of reading meet, and what passes there is decoded as the library would have decoded it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from otel_genai.call import stream
from otel_genai.endpoint.endpoint import Fold
from otel_genai.guard import Guard
from otel_genai.operation import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_genai.call.call import Call

JSON: Final = "application/json"
_EVENT_STREAM: Final = "text/event-stream"
_DONE: Final = b"[DONE]"

_READING_ALONG: Final = Guard("a span lacks part of a response that the application reads by itself")


class Loose(dict[str, Any]):
    """A JSON object that reads like the library's models: names that are missing are `None`."""

    __getattr__ = dict.get


def loose(body: bytes) -> Any:
    """A JSON body, readable like the library's models."""
    return json.loads(body, object_hook=Loose)


def media_type(http: Any) -> str:
    """Of an HTTP response, without parameters and in lower case."""
    return str(http.headers.get("content-type", "")).partition(";")[0].strip().lower()


def answer(http: Any) -> Any:
    """What a response that has been read says; `None` if that is not JSON."""
    return loose(http.content) if media_type(http) == JSON else None


class Body(Fold):
    """The fold of a body that is one JSON document."""

    def __init__(self, response: Callable[[Any, bool], Response], content: bool) -> None:
        self._response = response
        self._content = content
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> bool:
        """Take in a piece of the body."""
        self._pieces.append(piece)
        return False

    def response(self) -> Response:
        """What the document says; nothing if the application stopped reading before its end."""
        try:
            document = loose(b"".join(self._pieces))
        except ValueError:
            return Response()
        return self._response(document, self._content)


class _Events:
    """Server-sent events, out of pieces that may be cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """The data of every event that this piece completes; an empty line ends one."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in map(bytes.strip, lines):
            if line.startswith(b"data:"):
                self._data.append(line.removeprefix(b"data:"))
            elif not line and self._data:
                data, self._data = b"\n".join(self._data), []
                yield data


def follow(http: Any, call: Call) -> None:
    """Have the call hear of every chunk (or piece of a JSON document) of a body that is still to come."""
    kind = media_type(http)
    events = _Events()

    def hear(piece: bytes) -> None:
        if kind == _EVENT_STREAM:
            for data in events.decode(piece):
                with _READING_ALONG:
                    if not data.strip().startswith(_DONE):
                        call.chunk(loose(data))
        elif kind == JSON:
            with _READING_ALONG:
                call.piece(piece)

    stream.tap(http, call, hear)
