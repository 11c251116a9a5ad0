"""Requests of an engine: each enters through a gate, and its sequences are told of by name, many of them in one step.

Such a request is a `Call` like any other. Its sequences are bound to it in the gate, and it ends when its `Account` says that all of them
are over: not before it has left the gate, whose exception would be its failure, and not before the step is told in which they ended.
"""

from __future__ import annotations

from contextlib import nullcontext
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from otel_genai.call.deferred import DeferredCall
from otel_genai.endpoint.endpoint import Arguments
from otel_genai.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from otel_genai.endpoint.endpoint import Endpoint, RequestState
    from otel_genai.endpoint.rows import Beat, Binding, Collapse, Ending, Gate
    from otel_genai.patching.drivers import Driver
    from otel_genai.telemetry.telemetry import Telemetry

_BINDING: Final = Guard("a request lacks what the engine tells of it")
_COUNTING: Final = Guard("requests lack the times of their tokens")
_HEARING: Final = Guard("a request lacks part of what was told of it")
_FAILING: Final = Guard("the requests of an engine that failed are not reported")

_entering: ContextVar[_Request | None] = ContextVar("otel-genai-entering", default=None)


class _Request:
    """One request: its call, and the names of its sequences. It is entered while the gate works."""

    __slots__ = ("_entered", "_token", "call", "in_gate", "names")

    def __init__(self, call: DeferredCall) -> None:
        self.call = call
        self.in_gate = True
        self.names: list[tuple[_Ledger, Hashable]] = []

    def __enter__(self) -> None:
        self._entered = _entering.set(self)
        self._token = self.call.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _entering.reset(self._entered)
        self.call.leave(self._token, error)
        self.in_gate = False
        if error is not None:
            self._forget()
        elif self.names and self.call.is_over():
            self.end()

    def end(self, error: BaseException | None = None) -> None:
        """All its sequences are over, or failed."""
        self._forget()
        if error is None:
            self.call.finish()
        else:
            self.call.fail(error)

    def _forget(self) -> None:
        for ledger, name in self.names:
            ledger.requests.pop(name, None)
            ledger.states.pop(name, None)
        self.names.clear()


class _Ledger:
    """The open requests of one engine, by the names of their sequences."""

    __slots__ = ("over", "requests", "states")

    def __init__(self) -> None:
        self.requests: dict[Hashable, _Request] = {}
        self.states: dict[Hashable, RequestState] = {}
        self.over: list[_Request] | None = None
        """Those that ended in the step that is under way, if one is."""

    def bind(self, name: Hashable, request: _Request) -> None:
        state = request.call.state
        if name in self.requests:
            request.call.discard()  # it is the one that is known already
        elif state is not None:
            self.requests[name], self.states[name] = request, state
            request.names.append((self, name))

    def tell(self, name: Hashable, word: Any) -> None:
        request = self.requests.get(name)
        if request is None:
            return
        request.call.notify(word)
        if request.in_gate or not request.call.is_over():
            return
        if self.over is None:
            request.end()
        else:
            self.over.append(request)


class Engines:
    """The engines of one provider."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._ledgers: WeakKeyDictionary[Any, _Ledger] = WeakKeyDictionary()

    def gating(self, row: Gate) -> Driver:
        """For methods through which requests enter."""
        return self._awaited_gate(row) if row.awaits else self._gate(row)

    def _gate(self, row: Gate) -> Driver:
        endpoint = row.load()

        def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            with self._begin(endpoint, Arguments(instance, args, kwargs)):
                return wrapped(*args, **kwargs)

        return drive

    def _awaited_gate(self, row: Gate) -> Driver:
        endpoint = row.load()

        async def passed(awaitable: Awaitable[Any], arguments: Arguments) -> Any:
            with self._begin(endpoint, arguments):
                return await awaitable

        def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            return passed(wrapped(*args, **kwargs), Arguments(instance, args, kwargs))

        return drive

    def _begin(self, endpoint: Endpoint, arguments: Arguments) -> AbstractContextManager[None]:
        call = DeferredCall.begin(self._telemetry, endpoint, arguments)
        return nullcontext() if call is None else _Request(call)

    def binding(self, row: Binding) -> Driver:
        """For methods by which an engine is told of a sequence."""
        read = row.load()

        def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            result = wrapped(*args, **kwargs)
            with _BINDING:
                request = _entering.get()
                ledger = self._ledgers.get(instance)
                if request is not None or ledger is not None:
                    name, word = read(Arguments(instance, args, kwargs))
                    if ledger is None:
                        ledger = self._ledgers[instance] = _Ledger()
                    if request is not None:
                        ledger.bind(name, request)
                    ledger.tell(name, word)
            return result

        return drive

    def beating(self, row: Beat) -> Driver:
        """For methods that are called once a step."""
        tell = row.load()

        def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            ledger = self._ledgers.get(instance)
            if ledger is None or not ledger.states:
                return wrapped(*args, **kwargs)
            now = perf_counter()
            over: list[_Request] = []
            ledger.over = over
            try:
                return wrapped(*args, **kwargs)
            finally:
                ledger.over = None
                try:
                    tell(Arguments(instance, args, kwargs), ledger.states, now)
                except Exception as error:
                    if not _COUNTING.takes(error):
                        raise
                for request in over:
                    request.end()

        return drive

    def ending(self, row: Ending) -> Driver:
        """For methods that say of sequences that they are over."""
        read = row.load()

        def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            result = wrapped(*args, **kwargs)
            ledger = self._ledgers.get(instance)
            if ledger is not None:
                with _HEARING:
                    told: Iterable[tuple[Hashable, Any]] = read(Arguments(instance, args, kwargs), result)
                    for name, word in told:
                        ledger.tell(name, word)
            return result

        return drive

    def collapsing(self, row: Collapse) -> Driver:
        """For methods that end everything an engine works on."""
        given = row.error

        def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            arguments = Arguments(instance, args, kwargs)
            if given is None:
                with _Collapsing(self, row, arguments):
                    return wrapped(*args, **kwargs)
            result = wrapped(*args, **kwargs)
            with _FAILING:
                self.fail(row.teller(arguments), given(arguments))
            return result

        return drive

    def fail(self, teller: Any, error: BaseException) -> None:
        """Everything that `teller` tells of fails."""
        ledger = self._ledgers.get(teller)
        if ledger is not None:
            for request in tuple(ledger.requests.values()):
                request.end(error)


class _Collapsing:
    """Looks what comes out of a method whose errors are those of all requests."""

    __slots__ = ("_arguments", "_engines", "_row")

    def __init__(self, engines: Engines, row: Collapse, arguments: Arguments) -> None:
        self._engines, self._row, self._arguments = engines, row, arguments

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            with _FAILING:
                self._engines.fail(self._row.teller(self._arguments), error)
