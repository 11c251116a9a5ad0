"""A library that does not exist, with everything that the life of a call can meet, and its one-row reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import Endpoint
from otel_genai.operation import Failure, Request, Response, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from otel_genai.endpoint.arguments import Arguments


class ToyError(Exception):
    """What the toy raises when asked to."""


class Stream:
    """A stream that remembers whether it was closed."""

    def __init__(self, chunks: list[Any]) -> None:
        self.chunks = iter(chunks)
        self.closed = False

    def __next__(self) -> Any:
        chunk = next(self.chunks)
        if isinstance(chunk, BaseException):
            raise chunk
        return chunk

    def __iter__(self) -> Iterator[Any]:
        return self

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True


class AsyncStream:
    """The same for `async for`."""

    def __init__(self, chunks: list[Any]) -> None:
        self._stream = Stream(chunks)

    @property
    def closed(self) -> bool:
        return self._stream.closed

    async def __anext__(self) -> Any:
        try:
            return next(self._stream)
        except StopIteration:
            raise StopAsyncIteration from None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        self._stream.close()


class Fold:
    """Gathers the toy's chunks, which are strings."""

    def __init__(self, request: Request, content: bool) -> None:
        self._request = request
        self._content = content
        self._pieces: list[str] = []

    def add(self, chunk: str) -> bool:
        self._pieces.append(chunk)
        return any(self._pieces)

    def tokens(self) -> Sequence[int]:
        return [len(piece) for piece in self._pieces]

    def response(self) -> Response:
        answer = Message(role="assistant", parts=(Text("".join(self._pieces)),))
        return Response(usage=Usage(output=len(self._pieces)), messages=(answer,) if self._content else ())


def request(arguments: Arguments) -> Request:
    return Request(operation="chat", provider="toy", model=arguments.kwargs.get("model"))


def prompt(arguments: Arguments) -> Prompt:
    return Prompt(messages=(Message(role="user", parts=(Text(arguments.kwargs["text"]),)),))


def response(result: Any, content: bool) -> Response:
    return Response(
        id=str(result), messages=(Message(role="assistant", parts=(Text(str(result)),)),) if content else ()
    )


def failure(error: BaseException, content: bool) -> Failure:
    return Failure.of(error, message=str(error) if content else None)


TOY = Endpoint(
    default=Request(operation="chat", provider="toy"),
    request=request,
    prompt=prompt,
    response=response,
    fold=Fold,
    failure=failure,
)
