"""Pending requests: the library has accepted them, and answers later, from any thread.

Each is a `DeferredCall` with one or several sequences, on which the engine reports by name. It ends when its state says that it is over,
but not before the library has accepted it, whose exception is its failure, and not before the end of a step, whose tokens count.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from otel_genai.call.deferred import DeferredCall

if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import TracebackType

    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.endpoint.endpoint import Endpoint, RequestState
    from otel_genai.telemetry.telemetry import Telemetry

_submitting: ContextVar[PendingRequest | None] = ContextVar("otel-genai-submitting", default=None)


class PendingRequest:
    """One request. It is a context manager: inside of the block, the library accepts the request."""

    __slots__ = ("_names", "_outer", "_token", "call", "is_submitting", "report")

    def __init__(self, call: DeferredCall, endpoint: Endpoint) -> None:
        self.call = call
        # The events of a request with a key have times, as the chunks of a stream have.
        self.report = call.notify if endpoint.key is None else call.chunk
        self.is_submitting = True
        self._names: list[tuple[PendingSequences, Hashable]] = []

    def __enter__(self) -> None:
        self._outer = _submitting.set(self)
        self._token = self.call.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _submitting.reset(self._outer)
        self.call.leave(self._token, error)
        self.is_submitting = False
        if error is not None:
            self._release()
        elif self._names and self.call.is_over():
            self.end()

    @staticmethod
    def current() -> PendingRequest | None:
        """The request that the library accepts right now; `None` outside of a block."""
        return _submitting.get()

    def add_sequence(self, engine: PendingSequences, name: Hashable) -> None:
        """The engine reports on this request by `name`, among others."""
        self._names.append((engine, name))

    def end(self, error: BaseException | None = None) -> None:
        """The request is over, or has failed with `error`."""
        self._release()
        if error is None:
            self.call.finish()
        else:
            self.call.fail(error)

    def _release(self) -> None:
        for engine, name in self._names:
            engine.requests.pop(name, None)
            engine.states.pop(name, None)
        self._names.clear()


class PendingSequences:
    """The pending requests of one engine, by the names of their sequences."""

    __slots__ = ("_early", "_lock", "_submitting", "ended_in_step", "requests", "states")

    def __init__(self) -> None:
        self.requests: dict[Hashable, PendingRequest] = {}
        self.states: dict[Hashable, RequestState] = {}
        self.ended_in_step: list[PendingRequest] | None = None
        """The requests that ended in the current step; `None` between steps."""
        self._lock = threading.Lock()
        self._submitting = 0
        # An engine in another thread may report on a request before `submit` has returned its key.
        self._early: list[tuple[Hashable, Any]] = []

    def bind(self, name: Hashable, request: PendingRequest) -> None:
        """Report events of `name` to `request`. A name that is bound already is the same request, submitted again."""
        if name in self.requests:
            request.call.discard()
            return
        self.requests[name] = request
        if request.call.state is not None:
            self.states[name] = request.call.state
        request.add_sequence(self, name)

    def report(self, name: Hashable, event: Any) -> None:
        """Report an event. It may end the request."""
        request = self.requests.get(name)
        if request is None:
            with self._lock:
                request = self.requests.get(name)
                if request is None:
                    if self._submitting:
                        self._early.append((name, event))
                    return
        self._report(request, event)

    def _report(self, request: PendingRequest, event: Any) -> None:
        request.report(event)
        if request.is_submitting or not request.call.is_over():
            return
        if self.ended_in_step is None:
            request.end()
        else:
            self.ended_in_step.append(request)

    def begin_submit(self) -> None:
        """Keep events of unknown names: their request may be in `submit`."""
        with self._lock:
            self._submitting += 1

    def end_submit(self, key: Hashable | None, request: PendingRequest) -> None:
        """Bind the submitted request to its key, and report its early events. A refused one, with `None`, is not reported."""
        with self._lock:
            self._submitting -= 1
            if key is None:
                request.call.discard()
            else:
                self.bind(key, request)
                for name, event in self._early:
                    if name == key:
                        self._report(request, event)
            if not self._submitting:
                self._early.clear()

    def fail(self, error: BaseException) -> None:
        """All requests of the engine fail."""
        for request in tuple(self.requests.values()):
            request.end(error)


class PendingRequests:
    """The pending requests of one provider, by engine. An engine is not kept alive."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._engines: WeakKeyDictionary[Any, PendingSequences] = WeakKeyDictionary()

    def begin(self, endpoint: Endpoint, arguments: Arguments) -> PendingRequest | None:
        """A new request; `None` if it is not to be reported."""
        call = DeferredCall.begin(self._telemetry, endpoint, arguments)
        return None if call is None else PendingRequest(call, endpoint)

    def of_known(self, engine: Any) -> PendingSequences | None:
        """The sequences of an engine; `None` if it has had no request."""
        return self._engines.get(engine)

    def of(self, engine: Any) -> PendingSequences:
        """The sequences of an engine."""
        known = self._engines.get(engine)
        if known is None:
            known = self._engines[engine] = PendingSequences()
        return known
