"""Proxies that tell the Call what passes by. To the application they are the library's own stream in everything it can do with one.

The library's code runs with the operation's span current; the loop body that consumes the stream does not.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache, partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from wrapt import BaseObjectProxy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from otel_genai.call.call import Call
    from otel_genai.call.streamer import StreamerCall


def is_stream(result: Any) -> bool:
    """Whether a call returned something to be read piece by piece: an iterator, sync or async."""
    return _streams(type(result))  # type: ignore[arg-type]  # mypy takes a class's instances' hash for its own


@lru_cache
def _streams(kind: type) -> bool:
    # Not `hasattr`: data models answer for what they lack with much ado.
    return issubclass(kind, (Iterator, AsyncIterator))


def proxy(stream: Any, call: Call, hear: Callable[[Any], None]) -> Any:
    """What the application gets instead of `stream`; `hear` is told every chunk."""
    return (_AsyncStream if isinstance(stream, AsyncIterator) else _Stream)(stream, call, hear)


def tap(http: Any, call: Call, hear: Callable[[bytes], None]) -> None:
    """Let `hear` be told every piece of an HTTP response's body, in whichever way it is read; closing it ends the call.

    All of the HTTP client's ways of reading go through the two methods that are shadowed here, on this one response. The shadows
    go when it is closed, as it also is at its end.
    """

    def reading(name: str) -> Callable[..., Any]:
        read = getattr(http, name)
        return lambda *args, **kwargs: proxy(read(*args, **kwargs), call, hear)

    def closing(name: str) -> Callable[[], Any]:
        close = getattr(http, name)

        def closed() -> Any:
            for shadow in shadows:
                vars(http).pop(shadow, None)
            # The client closes a response itself when the wire is empty, with the last piece perhaps still to be given out.
            return close() if call.is_current() else _close(close, call)

        return closed

    shadows = {name: reading(name) for name in ("iter_bytes", "aiter_bytes")}
    shadows |= {name: closing(name) for name in ("close", "aclose")}
    vars(http).update(shadows)
    # A response that is dropped unread is closed by nobody. At exit, open streams are ended anyway.
    weakref.finalize(http, call.abandon).atexit = False


def tee(sink: Any, skip: int, call: StreamerCall) -> Any:
    """What a library is given instead of a streamer: it puts into `sink`, and the call hears of all but the first `skip` puts."""
    return _Tee(sink, skip, call)


class _Tee(BaseObjectProxy):  # type: ignore[type-arg]
    """A streamer that the call listens to. To the library it is the application's own in everything else."""

    __slots__ = ("put",)  # found without a detour, since it is called for every token

    def __init__(self, wrapped: Any, skip: int, call: StreamerCall) -> None:
        super().__init__(wrapped)
        self.put = _put(wrapped.put, skip, call)


def _put(put: Callable[[Any], Any], skip: int, call: StreamerCall) -> Callable[[Any], Any]:
    def heard(value: Any) -> Any:
        nonlocal skip
        if skip:
            skip -= 1
        else:
            call.chunk(value)
        result = put(value)
        # What the application does with a token is its own time, not the model's.
        call.ask()
        return result

    return heard


class _Closable(BaseObjectProxy):  # type: ignore[type-arg]  # generic in wrapt's stubs only
    """Something whose closing, sync or async, ends the call. All else is that of the object behind it."""

    def __init__(self, wrapped: Any, call: Call) -> None:
        super().__init__(wrapped)
        # Attributes of a proxy that start with `_self_` stay on the proxy; others would land on the wrapped object.
        self._self_call = call

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.__wrapped__, name)
        if name in {"close", "aclose"}:
            return partial(_close, attribute, self._self_call)
        return attribute


def _close(close: Callable[[], Any], call: Call) -> Any:
    closing: Any = None
    try:
        closing = close()
    finally:
        if not isawaitable(closing):
            call.finish()
    return _closed(closing, call) if isawaitable(closing) else closing


async def _closed(closing: Awaitable[Any], call: Call) -> Any:
    try:
        return await closing
    finally:
        call.finish()


class _Followed(_Closable):
    """What both kinds of stream share."""

    def __getattr__(self, name: str) -> Any:
        attribute = super().__getattr__(name)
        if name == "response":
            # The HTTP response beneath: the client's own stream helpers close that, and so may an application.
            return _Closable(attribute, self._self_call)
        return attribute

    def __del__(self) -> None:
        self._self_call.abandon()


# The step from one chunk to the next is all that is paid for every chunk, so it looks nothing up: it is made once a stream.


def _step(advance: Callable[[], Any], call: Call, hear: Callable[[Any], None]) -> Callable[[], Any]:
    enter, leave = call.enter, call.leave

    def step() -> Any:
        token = enter()
        try:
            chunk = advance()
        except BaseException as error:
            leave(token, error)
            raise
        leave(token)
        hear(chunk)
        return chunk

    return step


def _awaited_step(
    advance: Callable[[], Awaitable[Any]], call: Call, hear: Callable[[Any], None]
) -> Callable[[], Coroutine[Any, Any, Any]]:
    enter, leave = call.enter, call.leave

    async def step() -> Any:
        token = enter()
        try:
            chunk = await advance()
        except BaseException as error:
            leave(token, error)
            raise
        leave(token)
        hear(chunk)
        return chunk

    return step


class _Stream(_Followed):
    """A synchronous stream."""

    def __init__(self, wrapped: Any, call: Call, hear: Callable[[Any], None]) -> None:
        super().__init__(wrapped, call)
        self._self_step = _step(wrapped.__next__, call, hear)

    def __next__(self) -> Any:
        return self._self_step()

    def __iter__(self) -> Iterator[Any]:
        step = self._self_step
        try:
            while True:
                try:
                    chunk = step()
                except StopIteration:
                    return
                yield chunk
        except GeneratorExit:
            # The loop was left: `break`, `return`, an error in its body.
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


class _AsyncStream(_Followed):
    """An asynchronous stream."""

    def __init__(self, wrapped: Any, call: Call, hear: Callable[[Any], None]) -> None:
        super().__init__(wrapped, call)
        self._self_step = _awaited_step(wrapped.__anext__, call, hear)

    def __anext__(self) -> Coroutine[Any, Any, Any]:
        return self._self_step()

    async def __aiter__(self) -> AsyncIterator[Any]:
        step = self._self_step
        try:
            while True:
                try:
                    chunk = await step()
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
