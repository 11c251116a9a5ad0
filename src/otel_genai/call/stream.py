"""Proxies of streams, which report every chunk to the call. To the application a proxy behaves as the library's own stream does.

The library's code runs with the operation's span current. The loop body that consumes the stream does not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import lru_cache, partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from wrapt import BaseObjectProxy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from otel_genai.call.listener import Listener, StreamerListener


def is_stream(result: Any) -> bool:
    """Whether a call returned an iterator, synchronous or asynchronous."""
    return _is_iterator(type(result))  # type: ignore[arg-type]  # mypy takes a class's instances' hash for its own


@lru_cache
def _is_iterator(kind: type) -> bool:
    # Not `hasattr` on the result: pydantic's models search for a missing name at length before they refuse it.
    return issubclass(kind, (Iterator, AsyncIterator))


def proxy(stream: Any, call: Listener, on_chunk: Callable[[Any], None]) -> Any:
    """The proxy that the application gets in place of `stream`; `on_chunk` receives every chunk."""
    return (_AsyncStream if isinstance(stream, AsyncIterator) else _Stream)(stream, call, on_chunk)


def streamer_tee(streamer: Any, skip: int, call: StreamerListener) -> Any:
    """The proxy that a library gets in place of a streamer: `call` receives all puts but the first `skip`."""
    return _StreamerTee(streamer, skip, call)


class _StreamerTee(BaseObjectProxy):  # type: ignore[type-arg]
    """A streamer whose puts the call receives, too. To the library it is the application's own in everything else."""

    __slots__ = ("put",)  # a slot, because the library looks it up for every token

    def __init__(self, wrapped: Any, skip: int, call: StreamerListener) -> None:
        super().__init__(wrapped)
        self.put = _put(wrapped.put, skip, call)


def _put(put: Callable[[Any], Any], skip: int, call: StreamerListener) -> Callable[[Any], Any]:
    def put_and_report(value: Any) -> Any:
        nonlocal skip
        if skip:
            skip -= 1
        else:
            call.chunk(value)
        result = put(value)
        # The time that the application spends on a token is not the model's.
        call.consumed()
        return result

    return put_and_report


class _Closable(BaseObjectProxy):  # type: ignore[type-arg]  # generic in wrapt's stubs only
    """An object whose closing, synchronous or asynchronous, ends the call. In all else it is the object behind it."""

    def __init__(self, wrapped: Any, call: Listener) -> None:
        super().__init__(wrapped)
        # wrapt keeps attributes with the prefix `_self_` on the proxy, and sets others on the wrapped object.
        self._self_call = call

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.__wrapped__, name)
        if name in {"close", "aclose"}:
            return partial(close_and_finish, attribute, self._self_call)
        return attribute


def close_and_finish(close: Callable[[], Any], call: Listener) -> Any:
    """Close a stream or a response, and finish its call, whether closing succeeds or not; an awaitable where closing is awaited."""
    closing: Any = None
    try:
        closing = close()
    finally:
        if not isawaitable(closing):
            call.finish()
    return _await_and_finish(closing, call) if isawaitable(closing) else closing


async def _await_and_finish(closing: Awaitable[Any], call: Listener) -> Any:
    try:
        return await closing
    finally:
        call.finish()


class _StreamProxy(_Closable):
    """The part of the proxy that synchronous and asynchronous streams share."""

    def __getattr__(self, name: str) -> Any:
        attribute = super().__getattr__(name)
        if name == "response":
            # openai's stream helpers close the HTTP response in place of the stream, and so may the application.
            return _Closable(attribute, self._self_call)
        return attribute

    def __del__(self) -> None:
        self._self_call.abandon()


# The function below runs once a chunk. It is made once a stream, so that it looks nothing up.


def _next_chunk(advance: Callable[[], Any], call: Listener, on_chunk: Callable[[Any], None]) -> Callable[[], Any]:
    enter, leave = call.enter, call.leave

    def next_chunk() -> Any:
        token = enter()
        try:
            chunk = advance()
        except BaseException as error:
            leave(token, error)
            raise
        leave(token)
        on_chunk(chunk)
        return chunk

    return next_chunk


def _next_chunk_awaited(
    advance: Callable[[], Awaitable[Any]], call: Listener, on_chunk: Callable[[Any], None]
) -> Callable[[], Coroutine[Any, Any, Any]]:
    enter, leave = call.enter, call.leave

    async def next_chunk() -> Any:
        token = enter()
        try:
            chunk = await advance()
        except BaseException as error:
            leave(token, error)
            raise
        leave(token)
        on_chunk(chunk)
        return chunk

    return next_chunk


class _Stream(_StreamProxy):
    """A synchronous stream."""

    def __init__(self, wrapped: Any, call: Listener, on_chunk: Callable[[Any], None]) -> None:
        super().__init__(wrapped, call)
        self._self_next = _next_chunk(wrapped.__next__, call, on_chunk)

    def __next__(self) -> Any:
        return self._self_next()

    def __iter__(self) -> Iterator[Any]:
        next_chunk = self._self_next
        try:
            while True:
                try:
                    chunk = next_chunk()
                except StopIteration:
                    return
                yield chunk
        except GeneratorExit:
            # The application left its loop: `break`, `return`, or an error in its body.
            self._self_call.abandon()
            raise

    def __enter__(self) -> Any:
        entered = self.__wrapped__.__enter__()
        return self if entered is self.__wrapped__ else entered

    def __exit__(self, *error: object) -> Any:
        try:
            return self.__wrapped__.__exit__(*error)
        finally:
            self._self_call.finish()


class _AsyncStream(_StreamProxy):
    """An asynchronous stream."""

    def __init__(self, wrapped: Any, call: Listener, on_chunk: Callable[[Any], None]) -> None:
        super().__init__(wrapped, call)
        self._self_next = _next_chunk_awaited(wrapped.__anext__, call, on_chunk)

    def __anext__(self) -> Coroutine[Any, Any, Any]:
        return self._self_next()

    async def __aiter__(self) -> AsyncIterator[Any]:
        next_chunk = self._self_next
        try:
            while True:
                try:
                    chunk = await next_chunk()
                except StopAsyncIteration:
                    return
                yield chunk
        except GeneratorExit:
            self._self_call.abandon()
            raise

    async def __aenter__(self) -> Any:
        entered = await self.__wrapped__.__aenter__()
        return self if entered is self.__wrapped__ else entered

    async def __aexit__(self, *error: object) -> Any:
        try:
            return await self.__wrapped__.__aexit__(*error)
        finally:
            self._self_call.finish()
