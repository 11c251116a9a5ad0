"""Call: begins, is current only while the library works, and ends exactly once.

    result = call.run(wrapped, args, kwargs)    # the span is current while the library works, and no longer
    return call.settle(result)                  # a stream is handed out in a proxy that keeps the call open

Whatever enters a call leaves it in the same frame: `run`, the driver of what is awaited, a stream proxy for every chunk. Nothing of it is
current while the application's own code runs.
This module knows the clocks; engines that tell their story afterwards bring times of their own.
"""

from __future__ import annotations

import atexit
import os
import threading
from _thread import start_new_thread
from array import array
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Final, Self

from opentelemetry import context as otel_context

from otel_genai.call import context as call_context
from otel_genai.call import stream
from otel_genai.call.caller import caller_of
from otel_genai.guard import Guard
from otel_genai.http import body
from otel_genai.operation import Failure, Operation, Response, Side, Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextvars import Token

    from opentelemetry.context import Context

    from otel_genai.content import Prompt
    from otel_genai.endpoint.endpoint import Arguments, Endpoint, Fold
    from otel_genai.telemetry.telemetry import Telemetry

    Since = tuple[int, float, Context | None]
    Entered = Token[Context]

_BEGINNING: Final = Guard("a call is not reported")
_READING_REQUEST: Final = Guard("a span lacks what was asked for")
_FINDING_ORIGIN: Final = Guard("a call in another thread is a trace of its own")
_READING_PROMPT: Final = Guard("a span lacks its prompt")
_READING_RESPONSE: Final = Guard("a span lacks what was answered")
_READING_CHUNK: Final = Guard("a span lacks part of what was streamed")
_READING_ERROR: Final = Guard("an error is reported by its class alone")
_OPENING_STREAM: Final = Guard("a stream is not followed")
_REPORTING: Final = Guard("an operation is not reported")

_open: set[Call] = set()
_exits_awaited: set[Telemetry] = set()
_reporting_abandoned = threading.Lock()
_NOTHING: Final = Response()
_NO_TIMES: Final = array("d")


class Call:
    """One GenAI call of the application, from its beginning to its one and only end."""

    __slots__ = (
        "_asked_at",
        "_began_ns",
        "_chunks",
        "_context",
        "_endpoint",
        "_first_token",
        "_fold",
        "_latest",
        "_prompt",
        "_request",
        "_response",
        "_span",
        "_started",
        "_telemetry",
        "_underway",
        "_unreported",
        "_waits",
        "_with_content",
    )

    def __init__(self, telemetry: Telemetry, endpoint: Endpoint, arguments: Arguments, since: Since | None) -> None:
        self._began_ns, self._started, within = since or (time_ns(), perf_counter(), None)
        self._telemetry = telemetry
        self._endpoint = endpoint
        self._request = endpoint.default
        try:
            self._request = telemetry.with_provider_name(endpoint.request(arguments))
        except Exception as error:
            if not _READING_REQUEST.takes(error):
                raise
        inference: str | None = None
        if since is None and self._request.side is Side.INTERNAL:
            with _READING_REQUEST:
                self._request, inference, within, arrival = caller_of(endpoint, self._request, arguments)
                if arrival is not None:
                    self._began_ns, self._started = arrival.began_ns, arrival.started
        if within is None and endpoint.origin is not None:
            with _FINDING_ORIGIN:
                within = call_context.creation_context(endpoint.origin(arguments))
        self._span = telemetry.start(self._request, self._began_ns, within)
        self._underway = call_context.CurrentOperation(endpoint.default.kind, inference)
        self._context = call_context.context_of(self._span, self._underway, within)
        self._with_content = telemetry.wants_content(self._span)
        self._prompt: Prompt | None = None
        if self._with_content:
            # Now, because the application may change its messages while the answer is still arriving.
            with _READING_PROMPT:
                self._prompt = endpoint.prompt(arguments)
        self._response = _NOTHING
        self._fold: Fold | None = None
        self._chunks = self._waits = _NO_TIMES
        self._first_token: float | None = None
        # Whoever takes the one token reports: `list.pop` is atomic, so no two threads do.
        self._unreported = [True]
        if telemetry not in _exits_awaited:
            # What is registered last is run first, so that this comes before the SDK's own shutdown, which is there by now.
            atexit.register(finish_open_calls)
            _exits_awaited.add(telemetry)
        _open.add(self)

    @classmethod
    def begin(
        cls, telemetry: Telemetry, endpoint: Endpoint, arguments: Arguments, since: Since | None = None
    ) -> Self | None:
        """A call, or `None` if none is to be reported: suppressed, or inside an operation of the same name already.

        One that began earlier says `since` when: on the wall (nanoseconds), on the clock of all calls, and in which context.
        """
        try:
            if not telemetry.closed and call_context.is_wanted(endpoint.default.kind):
                return cls(telemetry, endpoint, arguments, since)
        except Exception as error:
            if not _BEGINNING.takes(error):
                raise
        return None

    def enter(self) -> Entered:
        """Have the span be current while the library works, from its start or for its next chunk. `leave` takes the token."""
        self._asked_at = perf_counter()
        return otel_context.attach(self._context)

    def leave(self, token: Entered, error: BaseException | None = None) -> None:
        """The library has done its part for now; or for good, if it raised `error`."""
        if error is None:
            otel_context.detach(token)
            return
        # A coroutine that nobody awaits any more may be closed somewhere else: there is nothing to leave there.
        if self.is_current() or not isinstance(error, GeneratorExit):
            otel_context.detach(token)
        if isinstance(error, StopIteration | StopAsyncIteration):
            self.finish()
        else:
            self.fail(error)

    def run(self, work: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Have the library do its part, with the span current meanwhile."""
        token = self.enter()
        try:
            result = work(*args, **kwargs)
        except BaseException as error:
            self.leave(token, error)
            raise
        self.leave(token)
        return result

    def forget(self) -> None:
        """The call is not reported, as if it had not been made."""
        self._unreported.clear()
        _open.discard(self)

    def is_current(self) -> bool:
        """Whether the code that asks runs inside of this call, and not in the application."""
        return otel_context.get_current() is self._context

    def settle(self, result: Any) -> Any:
        """Take note of what the library returned, and give what the application gets: that, or a proxy if it is a stream."""
        try:
            if stream.is_stream(result):
                proxy = stream.proxy(result, self, self.chunk)
                self._follow()
                return proxy
            http = self._endpoint.unparsed(result)
            if http is not None and not http.is_closed:
                body.follow(http, self)
                self._follow(whole=body.media_type(http) == body.JSON)
                return result
            self._answered(result if http is None else body.answer(http))
        except Exception as error:
            if not _OPENING_STREAM.takes(error):
                raise
        self._end(None, perf_counter())
        return result

    def _answered(self, result: Any) -> None:
        try:
            self._response = self._endpoint.response(result, self._with_content)
        except Exception as error:
            if not _READING_RESPONSE.takes(error):
                raise

    def _follow(self, *, whole: bool = False) -> None:
        with _READING_RESPONSE:
            self._fold = (
                body.Body(self._endpoint.response, self._with_content)
                if whole
                else self._endpoint.fold(self._request, self._with_content)
            )
        self._await_chunks()

    def _await_chunks(self) -> None:
        # A wait may well be less exact than a moment: a ten-millionth of itself. It takes half the memory.
        self._chunks, self._waits = array("d"), array("f")
        self._latest = self._started

    def chunk(self, chunk: Any) -> None:
        """Take note of a chunk that has just arrived."""
        if not self._unreported:
            return
        now = perf_counter()
        self._waits.append(self._asked_at - self._latest)
        self._chunks.append(now)
        self._latest = now
        fold = self._fold
        if fold is not None:
            try:
                if fold.add(chunk) and self._first_token is None:
                    self._first_token = now
            except Exception as error:
                if not _READING_CHUNK.takes(error):
                    raise

    def piece(self, piece: bytes) -> None:
        """Take note of a piece of a body that is not a stream of chunks: its arrival says nothing about the model's pace."""
        fold = self._fold
        if self._unreported and fold is not None:
            fold.add(piece)

    def finish(self) -> None:
        """The operation is over: fully received, or stopped by its caller, which is no error."""
        self._end(None, perf_counter())

    def fail(self, error: BaseException) -> None:
        """The operation is over because of `error`."""
        self._end(error, perf_counter())

    def abandon(self) -> None:
        """The application dropped the stream, and the interpreter tells us so.

        That can be anywhere, also within a garbage collection that struck while this very thread holds a lock of the SDK.
        So the report is made by a thread of its own.
        """
        if not self._unreported:
            return
        ended = perf_counter()
        try:
            start_new_thread(self._end_abandoned, (ended,))
        except RuntimeError:  # the interpreter is shutting down and starts no more threads
            self._end(None, ended)

    def _end_abandoned(self, ended: float) -> None:
        with _reporting_abandoned:
            self._end(None, ended)

    def _end(self, cause: BaseException | None, ended: float, *, unfinished: bool = False) -> None:
        try:
            self._unreported.pop()
        except IndexError:
            return
        _open.discard(self)
        try:
            self._telemetry.report(self._span, self._context, self._operation(cause, ended, unfinished=unfinished))
        except Exception as error:
            if not _REPORTING.takes(error):
                raise
        # The application may keep the stream for long; what was said is not ours to keep with it.
        self._fold = self._prompt = None
        self._response = _NOTHING

    def _operation(self, error: BaseException | None, ended: float, *, unfinished: bool) -> Operation:
        response, underway = self._response, self._underway
        tokens: Sequence[int] = ()
        if self._fold is not None:
            with _READING_RESPONSE:
                response = self._fold.response()
                tokens = self._fold.tokens()
        if underway.served_model is not None:
            response = response._replace(model=underway.served_model)
        if underway.extra:
            response = response._replace(extra={**underway.extra, **(response.extra or {})})
        return Operation(
            request=self._request,
            response=response,
            timing=Timing(
                began_ns=self._began_ns,
                started=self._started,
                ended=ended,
                chunks=self._chunks,
                waits=self._waits,
                tokens=tokens if len(tokens) == len(self._chunks) else (),
                phases=underway.phases,
                first_token=self._first_token,
            ),
            prompt=self._prompt,
            failure=None if error is None else self._failure(error),
            unfinished=unfinished,
        )

    def _failure(self, error: BaseException) -> Failure | None:
        with _READING_ERROR:
            return self._endpoint.failure(error, self._with_content)
        return Failure.of(error)


def finish_open_calls() -> None:
    """End the calls and streams that nobody has ended yet: the interpreter is about to exit, or the process to be terminated."""
    ended = perf_counter()
    for call in tuple(_open):
        call._end(None, ended, unfinished=True)
    # A thread may be in the middle of a report.
    if _reporting_abandoned.acquire(timeout=5):
        _reporting_abandoned.release()


if hasattr(os, "register_at_fork"):
    # What is under way in the parent is the parent's to report.
    os.register_at_fork(after_in_child=_open.clear)
