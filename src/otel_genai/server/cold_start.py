"""What a process needs from its start until it is of use: one operation, beneath which stands all that is loaded meanwhile.

It begins with the process, though nobody knows of it before the first engine is made, and ends with the first request that is served.
"""

from __future__ import annotations

import os
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Final

from otel_genai.call import context as call_context
from otel_genai.call.deferred import DeferredCall
from otel_genai.endpoint.endpoint import Arguments, Endpoint, RequestState
from otel_genai.guard import Guard
from otel_genai.operation import Failure, Operation, Phase, Response
from otel_genai.semconv import otel_genai
from otel_genai.telemetry import observers, process_start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from otel_genai.endpoint.rows import StartupRow
    from otel_genai.operation import Request, Timing
    from otel_genai.patching.drivers import Driver
    from otel_genai.telemetry.telemetry import Telemetry

_PREPARING: Final = Guard("what was to be done before an engine is made was not done")
_BEGINNING: Final = Guard("a cold start is not reported")
_NOTING: Final = Guard("a cold start lacks the making of an engine")

_preparations: list[Callable[[], None]] = []
_begun_in: int | None = None


def beforehand(prepare: Callable[[], None]) -> None:
    """Have `prepare` called, once, when this process turns out to be one that has an engine: before anything is told of it."""
    if prepare not in _preparations:
        _preparations.append(prepare)


class ColdStart:
    """The cold start of this process, for one provider."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._call: DeferredCall | None = None

    def making(self, row: StartupRow) -> Driver:
        """For what makes an engine."""

        def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            while _preparations:
                with _PREPARING:
                    _preparations.pop()()
            with _BEGINNING:
                self._begin(row.of, Arguments(instance, args, kwargs))
            with _Making(self._call):
                return wrapped(*args, **kwargs)

        return drive

    def _begin(self, cold_start: Request, arguments: Arguments) -> None:
        global _begun_in  # noqa: PLW0603 - one a process
        if _begun_in == os.getpid():
            return
        _begun_in = os.getpid()
        now_ns, now = time_ns(), perf_counter()
        age = process_start.seconds_until(now_ns) or 0.0
        endpoint = Endpoint(default=cold_start, request=lambda _: cold_start, failure=_failure, state=_Story)
        since = now_ns - round(age * 1e9), now - age, call_context.process_context()
        self._call = call = DeferredCall.begin(self._telemetry, endpoint, arguments, since)
        if call is None:
            return
        call.run(call_context.remember_cold_start, (), {})

        def ended(operation: Operation, _: object) -> None:
            request = operation.request
            if request.provider == cold_start.provider and request.operation not in otel_genai.OPERATIONS:
                self._served(call, operation, stop)

        stop = observers.observe(ended)

    def _served(self, call: DeferredCall, operation: Operation, stop: Callable[[], None]) -> None:
        if operation.failure is not None or operation.unfinished:
            return
        stop()
        # A fork has the observer, too, but what began before it is its parent's to tell.
        if _begun_in == os.getpid():
            call_context.forget_cold_start()
            call.notify(operation)
            call.finish()


class _Making:
    """The making of an engine, which may fail; a program may then try another."""

    def __init__(self, call: DeferredCall | None) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._started = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with _NOTING:
            if self._call is not None:
                self._call.notify(error or Phase(otel_genai.START_ENGINE, self._started, perf_counter()))


class _Story(RequestState):
    """What is told of a cold start: an engine made, one that could not be made, the first request served."""

    def __init__(self, arguments: Arguments, content: bool) -> None:  # noqa: ARG002  # the states' protocol
        self._engine: Phase | None = None
        self._failed: BaseException | None = None
        self._first: Operation | None = None

    def add(self, chunk: Any) -> bool:
        if isinstance(chunk, Operation):
            self._first = chunk
        elif isinstance(chunk, Phase):
            self._engine = chunk if self._engine is None else self._engine._replace(ended=chunk.ended)
            self._failed = None
        else:
            self._failed = chunk
        return False

    def is_over(self) -> bool:
        return self._first is not None

    def failure(self, content: bool) -> Failure | None:
        return None if self._failed is None else _failure(self._failed, content)

    def response(self) -> Response:
        return Response(model=self._first.request.model) if self._first is not None else Response()

    def timing(self, heard: Timing) -> Timing:
        first = self._first.timing if self._first is not None else None
        ended = heard.ended if first is None else first.ended
        phases: tuple[Phase, ...] = ()
        if self._engine is not None:
            asked = ended if first is None else max(first.started, self._engine.ended)
            phases = (
                Phase(otel_genai.IMPORT, heard.started, self._engine.started),
                self._engine,
                Phase(otel_genai.AWAIT_REQUEST, self._engine.ended, asked),
            )
            if first is not None:
                phases = (*phases, Phase(otel_genai.FIRST_REQUEST, asked, ended))
        return heard._replace(ended=ended, phases=phases)


def _failure(error: BaseException, content: bool) -> Failure:
    return Failure.of(error, message=str(error) if content else None)


if hasattr(os, "register_at_fork"):
    # The start of the parent is the parent's to tell.
    os.register_at_fork(after_in_child=call_context.forget_cold_start)
