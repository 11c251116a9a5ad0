"""The cold start of a model server: one operation from the start of the process to its first served request.

It is reported with the start time of the process, although it is known only when the first engine is created. Everything that is loaded
meanwhile is a child of its span.
"""

from __future__ import annotations

import os
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Final

from otel_genai.call import context as call_context
from otel_genai.call.deferred import DeferredCall
from otel_genai.endpoint.arguments import Arguments
from otel_genai.endpoint.endpoint import Endpoint, RequestState
from otel_genai.guard import Guard
from otel_genai.operation import Failure, Operation, Phase, Response
from otel_genai.semconv import otel_genai
from otel_genai.telemetry import observers, process_start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from otel_genai.endpoint.server_rows import StartupRow
    from otel_genai.operation import Request, Timing
    from otel_genai.patching.driver import Driver, Scope
    from otel_genai.telemetry.telemetry import Telemetry

_PREPARING: Final = Guard("the preparation for a process with an engine is missing")
_BEGINNING: Final = Guard("a cold start is not reported")
_CREATING: Final = Guard("a cold start lacks the creation of an engine")

_preparations: list[Callable[[], None]] = []
_begun_in: int | None = None
"""The id of the process whose cold start has begun."""


def before_first_engine(prepare: Callable[[], None]) -> None:
    """Call `prepare` once, when this process is about to create its first engine, before any telemetry of it."""
    if prepare not in _preparations:
        _preparations.append(prepare)


def startup_driver(row: StartupRow, found: Any, scope: Scope) -> Driver:  # noqa: ARG001
    """The driver of a function that creates an engine."""
    cold_start = scope.shared(ColdStart)

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        while _preparations:
            with _PREPARING:
                _preparations.pop()()
        with _BEGINNING:
            cold_start.begin(row.request, Arguments(instance, args, kwargs))
        with cold_start.creation():
            return wrapped(*args, **kwargs)

    return drive


class ColdStart:
    """The cold start of this process, for one provider."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._call: DeferredCall | None = None

    def creation(self) -> _EngineCreation:
        """A block in which an engine is created."""
        return _EngineCreation(self._call)

    def begin(self, request: Request, arguments: Arguments) -> None:
        """Begin the operation, unless a cold start of this process has begun."""
        global _begun_in  # noqa: PLW0603 - one a process
        if _begun_in == os.getpid():
            return
        _begun_in = os.getpid()
        now_ns, now = time_ns(), perf_counter()
        age = process_start.seconds_until(now_ns) or 0.0
        endpoint = Endpoint(default=request, request=lambda _: request, failure=_failure, state=_ColdStartState)
        since = now_ns - round(age * 1e9), now - age, call_context.process_context()
        self._call = call = DeferredCall.begin(self._telemetry, endpoint, arguments, since)
        if call is None:
            return
        call.run(call_context.remember_cold_start, (), {})

        def on_operation(operation: Operation, _: object) -> None:
            served = operation.request
            if served.provider == request.provider and served.operation not in otel_genai.OPERATIONS:
                self._end(call, operation, stop)

        stop = observers.observe(on_operation)

    def _end(self, call: DeferredCall, first: Operation, stop: Callable[[], None]) -> None:
        if first.failure is not None or first.unfinished:
            return
        stop()
        # A forked process has the observer, too, but its parent reports the cold start that began before the fork.
        if _begun_in == os.getpid():
            call_context.forget_cold_start()
            call.notify(first)
            call.finish()


class _EngineCreation:
    """The creation of an engine. It may fail, and the program may then create another."""

    def __init__(self, call: DeferredCall | None) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._started = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with _CREATING:
            if self._call is not None:
                self._call.notify(error or Phase(otel_genai.START_ENGINE, self._started, perf_counter()))


class _ColdStartState(RequestState):
    """The events of a cold start: engines created, a creation that failed, the first served request."""

    def __init__(self, arguments: Arguments, content: bool) -> None:  # noqa: ARG002  # `Endpoint.state` passes them
        self._engines: Phase | None = None
        self._error: BaseException | None = None
        self._first: Operation | None = None

    def add(self, event: Any) -> bool:
        if isinstance(event, Operation):
            self._first = event
        elif isinstance(event, Phase):
            self._engines = event if self._engines is None else self._engines._replace(ended=event.ended)
            self._error = None
        else:
            self._error = event
        return False

    def is_over(self) -> bool:
        return self._first is not None

    def failure(self, content: bool) -> Failure | None:
        return None if self._error is None else _failure(self._error, content)

    def response(self) -> Response:
        return Response(model=self._first.request.model) if self._first is not None else Response()

    def timing(self, observed: Timing) -> Timing:
        first = self._first.timing if self._first is not None else None
        ended = observed.ended if first is None else first.ended
        phases: tuple[Phase, ...] = ()
        if self._engines is not None:
            requested = ended if first is None else max(first.started, self._engines.ended)
            phases = (
                Phase(otel_genai.IMPORT, observed.started, self._engines.started),
                self._engines,
                Phase(otel_genai.AWAIT_REQUEST, self._engines.ended, requested),
            )
            if first is not None:
                phases = (*phases, Phase(otel_genai.FIRST_REQUEST, requested, ended))
        return observed._replace(ended=ended, phases=phases)


def _failure(error: BaseException, content: bool) -> Failure:
    return Failure.of(error, message=str(error) if content else None)


if hasattr(os, "register_at_fork"):
    # The parent process reports its own start.
    os.register_at_fork(after_in_child=call_context.forget_cold_start)
