"""Call: begins, is current only while the library works, and ends exactly once.

    result = call.run(wrapped, args, kwargs)    # the span is current while the library works, and no longer
    return call.return_value(result)            # a stream is returned in a proxy that keeps the call open

Each `enter` has its `leave` in the same frame: `run`, the driver of an awaited call, a stream's proxy for every chunk. The span is never
current while the application's own code runs. This module reads the clocks; engines that report afterwards bring times of their own.
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
    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.endpoint.endpoint import Endpoint, Fold
    from otel_genai.telemetry.telemetry import Telemetry

    Since = tuple[int, float, Context | None]
    """When a call began: wall clock (nanoseconds), clock of `Timing` (seconds), and the parent's context."""
    Entered = Token[Context]
    """From `enter`, for `leave`."""

_BEGINNING: Final = Guard("a call is not reported")
_READING_REQUEST: Final = Guard("a span lacks its request's attributes")
_FINDING_PARENT: Final = Guard("a call in another thread is a trace of its own")
_READING_PROMPT: Final = Guard("a span lacks its prompt")
_READING_RESPONSE: Final = Guard("a span lacks its response's attributes")
_READING_CHUNK: Final = Guard("a span lacks part of a streamed response")
_READING_ERROR: Final = Guard("an error is reported by its class alone")
_OPENING_STREAM: Final = Guard("a stream is reported without its chunks")
_REPORTING: Final = Guard("an operation is not reported")

_open: set[Call] = set()
_ended_at_exit: set[Telemetry] = set()
_reporting_abandoned = threading.Lock()
_NO_RESPONSE: Final = Response()
_NO_TIMES: Final = array("d")


class Call:
    """One GenAI call of the application, from its beginning to its one end."""

    __slots__ = (
        "_asked_at",
        "_began_ns",
        "_chunks",
        "_context",
        "_current",
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
        "_unreported",
        "_waits",
        "_with_content",
    )

    def __init__(self, telemetry: Telemetry, endpoint: Endpoint, arguments: Arguments, since: Since | None) -> None:
        self._began_ns, self._started, parent = since or (time_ns(), perf_counter(), None)
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
                self._request, inference, parent, inbound = caller_of(endpoint, self._request, arguments)
                if inbound is not None:
                    self._began_ns, self._started = inbound.began_ns, inbound.started
        if parent is None and endpoint.origin is not None:
            with _FINDING_PARENT:
                parent = call_context.creation_context(endpoint.origin(arguments))
        self._span = telemetry.start(self._request, self._began_ns, parent)
        self._current = call_context.CurrentOperation(endpoint.kind, inference)
        self._context = call_context.context_of(self._span, self._current, parent)
        self._with_content = telemetry.wants_content(self._span)
        self._prompt: Prompt | None = None
        if self._with_content:
            # Now, because the application may change its messages before the response is complete.
            with _READING_PROMPT:
                self._prompt = endpoint.prompt(arguments)
        self._response = _NO_RESPONSE
        self._fold: Fold | None = None
        self._chunks = self._waits = _NO_TIMES
        self._first_token: float | None = None
        # The thread that pops the one item reports the call. `list.pop` is atomic.
        self._unreported = [True]
        if telemetry not in _ended_at_exit:
            # `atexit` runs the newest function first. The SDK registered its shutdown before, so open calls end before it.
            atexit.register(finish_open_calls)
            _ended_at_exit.add(telemetry)
        _open.add(self)

    @classmethod
    def begin(
        cls, telemetry: Telemetry, endpoint: Endpoint, arguments: Arguments, since: Since | None = None
    ) -> Self | None:
        """A new call; `None` if it is not to be reported: suppressed, or inside an operation of the same kind.

        A call that began earlier passes `since`.
        """
        try:
            if not telemetry.closed and call_context.is_wanted(endpoint.kind):
                return cls(telemetry, endpoint, arguments, since)
        except Exception as error:
            if not _BEGINNING.takes(error):
                raise
        return None

    def enter(self) -> Entered:
        """Make the span current while the library works: on the call itself, or on its next chunk. `leave` takes the token."""
        self._asked_at = perf_counter()
        return otel_context.attach(self._context)

    def leave(self, token: Entered, error: BaseException | None = None) -> None:
        """Restore the context of before `enter`. An `error` that the library raised ends the call."""
        if error is None:
            otel_context.detach(token)
            return
        # A coroutine that is never awaited to its end may be closed in another context, where there is nothing to restore.
        if self.is_current() or not isinstance(error, GeneratorExit):
            otel_context.detach(token)
        if isinstance(error, StopIteration | StopAsyncIteration):
            self.finish()
        else:
            self.fail(error)

    def run(self, work: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call the library, with the span current meanwhile. Its exceptions end the call and pass through."""
        token = self.enter()
        try:
            result = work(*args, **kwargs)
        except BaseException as error:
            self.leave(token, error)
            raise
        self.leave(token)
        return result

    def discard(self) -> None:
        """Drop the call without a report, as if it had not been made."""
        self._unreported.clear()
        _open.discard(self)

    def is_current(self) -> bool:
        """Whether the calling code is the library at work on this call, as opposed to the application."""
        return otel_context.get_current() is self._context

    def return_value(self, result: Any) -> Any:
        """Read the library's result, and return the application's: the same object, or a proxy if it is a stream."""
        try:
            if stream.is_stream(result):
                proxy = stream.proxy(result, self, self.chunk)
                self._await_chunks()
                self._open_fold()
                return proxy
            http = self._endpoint.unparsed(result)
            if http is not None and not http.is_closed:
                body.follow(http, self)
                self._await_chunks()
                if body.media_type(http) == body.JSON:
                    self._fold = body.BodyFold(self._endpoint.response, self._with_content)
                else:
                    self._open_fold()
                return result
            self._read_response(result if http is None else body.answer(http))
        except Exception as error:
            if not _OPENING_STREAM.takes(error):
                raise
        self._end(None, perf_counter())
        return result

    def _read_response(self, result: Any) -> None:
        try:
            self._response = self._endpoint.response(result, self._with_content)
        except Exception as error:
            if not _READING_RESPONSE.takes(error):
                raise

    def _open_fold(self) -> None:
        try:
            self._fold = self._endpoint.fold(self._request, self._with_content)
        except Exception as error:
            if not _READING_RESPONSE.takes(error):
                raise

    def _await_chunks(self) -> None:
        # Waits are exact to a ten-millionth of themselves, which is enough; as doubles they would take twice the memory.
        self._chunks, self._waits = array("d"), array("f")
        self._latest = self._started

    def chunk(self, chunk: Any) -> None:
        """Read a chunk that has arrived just now."""
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
        """Read a piece of a body that is not a stream of chunks. Its time is not recorded: it tells nothing about the model."""
        fold = self._fold
        if self._unreported and fold is not None:
            fold.add(piece)

    def finish(self) -> None:
        """End the call: the response is complete, or the caller stopped it, which is not an error."""
        self._end(None, perf_counter())

    def fail(self, error: BaseException) -> None:
        """End the call because of `error`."""
        self._end(error, perf_counter())

    def abandon(self) -> None:
        """End the call, whose stream the application has dropped, from a finalizer.

        A finalizer may run in a garbage collection while this very thread holds a lock of the SDK. So a new thread makes the report.
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
        # The application may keep the stream for long. Its content is not kept with it.
        self._fold = self._prompt = None
        self._response = _NO_RESPONSE

    def _operation(self, error: BaseException | None, ended: float, *, unfinished: bool) -> Operation:
        response, current = self._response, self._current
        tokens: Sequence[int] = ()
        if self._fold is not None:
            with _READING_RESPONSE:
                response = self._fold.response()
                tokens = self._fold.tokens()
        if current.served_model is not None:
            response = response._replace(model=current.served_model)
        if current.extra:
            response = response._replace(extra={**current.extra, **(response.extra or {})})
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
                phases=current.phases,
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
    """End all open calls as unfinished: the interpreter is about to exit, or the process is about to be terminated."""
    ended = perf_counter()
    for call in tuple(_open):
        call._end(None, ended, unfinished=True)
    # A thread may be in the middle of a report.
    if _reporting_abandoned.acquire(timeout=5):
        _reporting_abandoned.release()


if hasattr(os, "register_at_fork"):
    # The parent process reports its own open calls.
    os.register_at_fork(after_in_child=_open.clear)
