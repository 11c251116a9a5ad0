"""Clients without a server: their transport delivers the response."""

from __future__ import annotations

import json
import sys
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import openai

from tests.support.openai.clients import client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

HTTP: Any = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
"""The HTTP library of this version of the client: httpx or httpx2."""


def client_of_pieces(pieces: Callable[[], Iterable[bytes]]) -> openai.OpenAI:
    """A client whose every response is a stream of exactly these pieces, made when they are read."""

    class Pieces(HTTP.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            yield from pieces()

    headers = {"content-type": "text/event-stream"}
    return _client(lambda _: HTTP.Response(200, headers=headers, stream=Pieces()))


def client_of_events(*events: Any, times: int = 1) -> openai.OpenAI:
    """A client whose every response is a stream of these events, `times` over, all of them in one piece each time."""
    piece = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)
    return client_of_pieces(lambda: chain(repeat(piece, times), [b"data: [DONE]\n\n"]))


def client_of_body(body: Any) -> openai.OpenAI:
    """A client whose every response has this JSON body."""
    return _client(lambda _: HTTP.Response(200, json=body))


def _client(answer: Callable[[Any], Any]) -> openai.OpenAI:
    return client("http://127.0.0.1/v1", http_client=openai.DefaultHttpxClient(transport=HTTP.MockTransport(answer)))
