"""The drivers of `CallRow` and `StepRow`: calls that return, calls that are awaited, calls that push output, and steps of a call.

The drivers of returned and of awaited calls differ by one `await`.
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any

from otel_genai.call.call import Call
from otel_genai.call.streamer import StreamerCall, on_step
from otel_genai.endpoint.arguments import Arguments

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from otel_genai.endpoint.endpoint import Endpoint, StreamerHook
    from otel_genai.endpoint.rows import CallRow, StepRow
    from otel_genai.patching.driver import Driver, Scope
    from otel_genai.telemetry.telemetry import Telemetry


def call_driver(row: CallRow, found: Any, scope: Scope) -> Driver:
    """The driver of a call. Raises TypeError for an endpoint that an `EngineRow` needs."""
    endpoint = row.resolve()
    if endpoint.state is not None:
        raise TypeError(f"the endpoint of {row.target} has a `state`: use an EngineRow with the place 'submit'")
    if _is_coroutine_function(found) if row.awaits is None else row.awaits:
        return _awaited(scope.telemetry, endpoint)
    if endpoint.tap is not None:
        return _pushing(scope.telemetry, endpoint, endpoint.tap)
    return _returning(scope.telemetry, endpoint)


def _is_coroutine_function(function: Any) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(getattr(function, "__func__", function)))


def _returning(telemetry: Telemetry, endpoint: Endpoint) -> Driver:
    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        call = Call.begin(telemetry, endpoint, Arguments(instance, args, kwargs))
        if call is None:
            return wrapped(*args, **kwargs)
        return call.return_value(call.run(wrapped, args, kwargs))

    return drive


def _pushing(telemetry: Telemetry, endpoint: Endpoint, tap: StreamerHook) -> Driver:
    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        arguments = Arguments(instance, args, kwargs)
        call = StreamerCall.begin(telemetry, endpoint, arguments)
        if call is None:
            return wrapped(*args, **kwargs)
        _, args, kwargs = call.hook(tap, arguments)
        return call.return_value(call.run(wrapped, args, kwargs))

    return drive


def _awaited(telemetry: Telemetry, endpoint: Endpoint) -> Driver:
    async def result_of(awaitable: Awaitable[Any], arguments: Arguments) -> Any:
        call = Call.begin(telemetry, endpoint, arguments)
        if call is None:
            return await awaitable
        token = call.enter()
        try:
            result = await awaitable
        except BaseException as error:
            call.leave(token, error)
            raise
        call.leave(token)
        return call.return_value(result)

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        # The library is called now and not at the `await`, so that it refuses wrong arguments where they are passed.
        return result_of(wrapped(*args, **kwargs), Arguments(instance, args, kwargs))

    return drive


def step_driver(row: StepRow, method: Callable[..., Any], scope: Scope) -> Callable[..., Any]:  # noqa: ARG001
    """The replacement of a method that a library calls after every step."""

    @wraps(method)
    def step(instance: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(instance, *args, **kwargs)
        on_step(instance)
        return result

    return step
