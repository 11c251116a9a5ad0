"""The drivers of `EngineRow`: an engine accepts requests, starts sequences, works in steps, reports on sequences, and may fail.

A request reaches the store of pending requests in one of two ways: the result of `submit` holds its key, or `started` names its sequences.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from otel_genai.endpoint.arguments import Arguments
from otel_genai.guard import Guard
from otel_genai.server.pending import PendingRequest, PendingRequests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping

    from otel_genai.endpoint.endpoint import Endpoint
    from otel_genai.endpoint.server_rows import EngineRow
    from otel_genai.patching.driver import Driver, Scope
    from otel_genai.server.pending import PendingSequences

_SUBMITTING: Final = Guard("a request is not reported")
_STARTING: Final = Guard("a request lacks the engine's report on it")
_COUNTING: Final = Guard("requests lack the times of their tokens")
_READING: Final = Guard("a request lacks part of the engine's report on it")
_FAILING: Final = Guard("the requests of an engine that failed are not reported")


def engine_driver(row: EngineRow, found: Any, scope: Scope) -> Driver:  # noqa: ARG001
    """The driver of the row's place. Raises TypeError for a row that lacks the part which its place needs."""
    return {"submit": _submit, "started": _started, "step": _step, "finished": _finished, "failed": _failed}[row.place](
        row, scope.shared(PendingRequests)
    )


def _submit(row: EngineRow, pending: PendingRequests) -> Driver:
    endpoint = row.resolve()
    if endpoint.key is not None:
        return _submit_with_key(row, endpoint, endpoint.key, pending)

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        request = pending.begin(endpoint, Arguments(instance, args, kwargs))
        if request is None:
            return wrapped(*args, **kwargs)
        with request:
            return wrapped(*args, **kwargs)

    async def result_of(awaitable: Awaitable[Any], arguments: Arguments) -> Any:
        request = pending.begin(endpoint, arguments)
        if request is None:
            return await awaitable
        with request:
            return await awaitable

    def drive_awaited(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        return result_of(wrapped(*args, **kwargs), Arguments(instance, args, kwargs))

    return drive_awaited if row.awaits else drive


def _submit_with_key(
    row: EngineRow, endpoint: Endpoint, read_key: Callable[[Arguments, Any], Hashable | None], pending: PendingRequests
) -> Driver:
    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        arguments = Arguments(instance, args, kwargs)
        request = pending.begin(endpoint, arguments)
        if request is None:
            return wrapped(*args, **kwargs)
        sequences, key = _sequences(row, arguments, pending), None
        if sequences is not None:
            sequences.begin_submit()
        try:
            with request:
                result = wrapped(*args, **kwargs)
            with _SUBMITTING:
                key = read_key(arguments, result)
        finally:
            if sequences is None:
                request.call.discard()
            else:
                sequences.end_submit(key, request)
        return result

    return drive


def _sequences(row: EngineRow, arguments: Arguments, pending: PendingRequests) -> PendingSequences | None:
    with _SUBMITTING:
        engine = row.engine(arguments)
        return None if engine is None else pending.of(engine)
    return None


def _started(row: EngineRow, pending: PendingRequests) -> Driver:
    read = row.reader()

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        result = wrapped(*args, **kwargs)
        with _STARTING:
            arguments = Arguments(instance, args, kwargs)
            engine, request = row.engine(arguments), PendingRequest.current()
            if request is not None or pending.of_known(engine) is not None:
                name, event = read(arguments)
                sequences = pending.of(engine)
                if request is not None:
                    sequences.bind(name, request)
                sequences.report(name, event)
        return result

    return drive


def _step(row: EngineRow, pending: PendingRequests) -> Driver:
    read, engine_of, of_known = row.reader(), row.engine, pending.of_known

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        arguments = Arguments(instance, args, kwargs)
        sequences = of_known(engine_of(arguments))
        if sequences is None or not sequences.states:
            return wrapped(*args, **kwargs)
        now = perf_counter()
        ended: list[PendingRequest] = []
        sequences.ended_in_step = ended
        try:
            return wrapped(*args, **kwargs)
        finally:
            sequences.ended_in_step = None
            try:
                read(arguments, sequences.states, now)
            except Exception as error:
                if not _COUNTING.takes(error):
                    raise
            for request in ended:
                request.end()

    return drive


def _finished(row: EngineRow, pending: PendingRequests) -> Driver:
    read = row.reader()

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        result: Any = None
        try:
            result = wrapped(*args, **kwargs)
        finally:
            with _READING:
                arguments = Arguments(instance, args, kwargs)
                engine = row.engine(arguments)
                sequences = None if engine is None else pending.of_known(engine)
                if sequences is not None:
                    events: Iterable[tuple[Hashable, Any]] = read(arguments, result)
                    for name, event in events:
                        sequences.report(name, event)
        return result

    return drive


def _failed(row: EngineRow, pending: PendingRequests) -> Driver:
    read = None if row.read is None else row.reader()

    def fail(arguments: Arguments, error: BaseException | None = None) -> None:
        with _FAILING:
            cause = read(arguments) if error is None and read is not None else error
            sequences = pending.of_known(row.engine(arguments))
            if sequences is not None and cause is not None:
                sequences.fail(cause)

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        arguments = Arguments(instance, args, kwargs)
        if read is not None:
            result = wrapped(*args, **kwargs)
            fail(arguments)
            return result
        try:
            return wrapped(*args, **kwargs)
        except BaseException as error:
            fail(arguments, error)
            raise

    return drive
