"""Requests that arrive from outside of the process: whose they are, and since when they wait.

Inferences for such a request are spans of kind SERVER, of which the first begins when the request arrived. Its parent is the caller's span,
or that which the web framework has opened for the request. If the application refuses the request before any model is asked, that is its
span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from otel_genai.call import context as call_context
from otel_genai.call.call import Call
from otel_genai.call.inbound import InboundRequest, inbound_request, with_inbound_request
from otel_genai.endpoint.endpoint import Arguments, Endpoint
from otel_genai.guard import Guard
from otel_genai.operation import Failure, Request, Side
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping
    from types import TracebackType

    from otel_genai.endpoint.rows import AsgiAppRow
    from otel_genai.patching.drivers import Driver
    from otel_genai.telemetry.telemetry import Telemetry

    Scope = MutableMapping[str, Any]
    Asgi = Callable[[Scope, Any, Any], Awaitable[None]]

_ARRIVING: Final = Guard("a request is not joined to its caller's trace")
_REFUSING: Final = Guard("a request that was refused is not reported")
_REFUSED: Final = 400
"""The first HTTP status that is a refusal."""


class _RefusalError(Exception):
    """What is reported of a request that was answered with an error before any model was asked."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


def _refusal(error: BaseException, content: bool) -> Failure:
    if isinstance(error, _RefusalError):
        return Failure(str(error.status), f"HTTP {error.status}")
    return Failure.of(error, message=str(error) if content else None)


class ServerMiddleware:
    """ASGI middleware: what works for a request knows that it does."""

    def __init__(self, app: Asgi, row: AsgiAppRow, telemetry: Telemetry) -> None:
        self._app = app
        self._operations = row.operations
        self._telemetry = telemetry
        self._refused = None if row.provider is None else _refused_endpoint(row.provider)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve a request, or whatever else it is."""
        arrival: InboundRequest | None = None
        with _ARRIVING:
            arrival = self._arrival(scope)
        if arrival is None:
            await self._app(scope, receive, send)
            return
        with call_context.current(with_inbound_request(arrival)), _Outcome(self, arrival) as outcome:
            await self._app(scope, receive, outcome.noting(send))

    def _arrival(self, scope: Scope) -> InboundRequest | None:
        if scope["type"] != "http" or inbound_request() is not None:
            return None
        operation = self._operations.get(scope["path"])
        if operation is None:
            return None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return InboundRequest(operation, call_context.extracted(headers))

    def refuse(self, arrival: InboundRequest, error: BaseException) -> None:
        """Report a request that has come to nothing, unless an operation stands for it."""
        if self._refused is None or arrival.is_claimed:
            return
        with _REFUSING:
            call = Call.begin(self._telemetry, self._refused, Arguments(None, (), {}))
            if call is not None:
                call.fail(error)


class _Outcome:
    """How the application answers a request."""

    __slots__ = ("_arrival", "_arrivals", "_status")

    def __init__(self, arrivals: ServerMiddleware, arrival: InboundRequest) -> None:
        self._arrivals, self._arrival = arrivals, arrival
        self._status = 0

    def noting(self, send: Any) -> Any:
        """`send`, with the status noted."""

        async def sent(message: MutableMapping[str, Any]) -> None:
            self._status = self._status or message.get("status", 0)
            await send(message)

        return sent

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # One whose client has gone is cancelled, and that is no error.
        if isinstance(error, Exception):
            self._arrivals.refuse(self._arrival, error)
        elif error is None and self._status >= _REFUSED:
            self._arrivals.refuse(self._arrival, _RefusalError(self._status))


def _refused_endpoint(provider: str) -> Endpoint:
    # What kind of inference it was to be is for the arrival to say.
    request = Request(operation=gen_ai.TEXT_COMPLETION, provider=provider, side=Side.INTERNAL)
    return Endpoint(default=request, request=lambda _: request, failure=_refusal)


def instrument_app(row: AsgiAppRow, telemetry: Telemetry) -> Driver:
    """For functions that build the application of a model server, or are given it."""

    def attend(app: Any) -> None:
        with _ARRIVING:
            if app.middleware_stack is None:
                app.add_middleware(ServerMiddleware, row=row, telemetry=telemetry)
            else:
                # It has been put together, as vLLM's is before anybody gets it, and takes no more.
                app.middleware_stack = ServerMiddleware(app.middleware_stack, row, telemetry)

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
        if row.is_given:
            if args:
                attend(args[0])
            return wrapped(*args, **kwargs)
        app = wrapped(*args, **kwargs)
        attend(app)
        return app

    return drive
