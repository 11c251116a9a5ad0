"""The drivers of calls that return, of calls that are awaited (all that these two do differently is one `await`), and of calls that push.

And that of a call's steps.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from otel_genai.call.call import Call
from otel_genai.call.streamer import StreamerCall, on_step
from otel_genai.endpoint.endpoint import Arguments

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from otel_genai.endpoint.endpoint import Endpoint, StreamerHook
    from otel_genai.telemetry.telemetry import Telemetry

    Driver = Callable[[Callable[..., Any], Any, tuple[Any, ...], Mapping[str, Any]], Any]
    """(what is wrapped, its instance, positional and keyword arguments) → what the caller gets."""


def calling(telemetry: Telemetry, endpoint: Endpoint) -> Driver:
    """For calls that return."""

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        call = Call.begin(telemetry, endpoint, Arguments(instance, args, kwargs))
        if call is None:
            return wrapped(*args, **kwargs)
        return call.return_value(call.run(wrapped, args, kwargs))

    return drive


def tapping(telemetry: Telemetry, endpoint: Endpoint, tap: StreamerHook) -> Driver:
    """For calls that return, and hand out what they produce while they work."""

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        arguments = Arguments(instance, args, kwargs)
        call = StreamerCall.begin(telemetry, endpoint, arguments)
        if call is None:
            return wrapped(*args, **kwargs)
        _, args, kwargs = call.hook(tap, arguments)
        return call.return_value(call.run(wrapped, args, kwargs))

    return drive


def awaiting(telemetry: Telemetry, endpoint: Endpoint) -> Driver:
    """For calls that are awaited."""

    async def settled(awaitable: Awaitable[Any], arguments: Arguments) -> Any:
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
        # The library is called at once and not when awaited, so that wrong arguments are refused where they were given.
        return settled(wrapped(*args, **kwargs), Arguments(instance, args, kwargs))

    return drive


def stepping(method: Callable[..., Any]) -> Callable[..., Any]:
    """What takes the place of a method that a library calls after every step of a call; a plain function, for that is called quickest."""

    @wraps(method)
    def stepped(instance: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(instance, *args, **kwargs)
        on_step(instance)
        return result

    return stepped
