"""ASGI middleware for model servers: inferences know the inbound request for which they work.

The first inference of an inbound request is a span of kind SERVER that begins when the request arrived. Its parent is the caller's span, or
the span that the web framework opened for the request. A request that the application refuses before it asks a model is a span, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from otel_genai.call import context as call_context
from otel_genai.call.call import Call
from otel_genai.call.inbound import InboundRequest, inbound_request, with_inbound_request
from otel_genai.endpoint.arguments import Arguments
from otel_genai.endpoint.endpoint import Endpoint
from otel_genai.guard import Guard
from otel_genai.operation import Failure, Request, Side
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping
    from types import TracebackType

    from otel_genai.endpoint.server_rows import AsgiAppRow
    from otel_genai.patching.driver import Driver, Scope
    from otel_genai.telemetry.telemetry import Telemetry

    AsgiScope = MutableMapping[str, Any]
    AsgiApp = Callable[[AsgiScope, Any, Any], Awaitable[None]]

_JOINING: Final = Guard("a request is not joined to its caller's trace")
_REFUSING: Final = Guard("a request that was refused is not reported")
_FIRST_ERROR_STATUS: Final = 400


def app_driver(row: AsgiAppRow, found: Any, scope: Scope) -> Driver:  # noqa: ARG001
    """The driver of a function that builds the application of a model server, or is given it."""
    telemetry = scope.telemetry

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
        if row.is_given:
            if args:
                instrument_app(args[0], row, telemetry)
            return wrapped(*args, **kwargs)
        app = wrapped(*args, **kwargs)
        instrument_app(app, row, telemetry)
        return app

    return drive


def instrument_app(app: Any, row: AsgiAppRow, telemetry: Telemetry) -> None:
    """Add the middleware to an application of Starlette's kind."""
    options: dict[str, Any] = {"operations": row.operations, "provider": row.provider, "telemetry": telemetry}
    with _JOINING:
        if app.middleware_stack is None:
            app.add_middleware(ServerMiddleware, **options)
        else:
            # The stack is built, as vLLM's is before anybody gets the application, and `add_middleware` refuses.
            app.middleware_stack = ServerMiddleware(app.middleware_stack, **options)


class ServerMiddleware:
    """ASGI middleware that makes the inbound request known to the operations that work on it."""

    def __init__(
        self, app: AsgiApp, *, operations: Mapping[str, str], provider: str | None, telemetry: Telemetry
    ) -> None:
        """`operations` and `provider` are those of `AsgiAppRow`."""
        self._app = app
        self._operations = operations
        self._telemetry = telemetry
        self._refusal = None if provider is None else _refusal_endpoint(provider)

    async def __call__(self, scope: AsgiScope, receive: Any, send: Any) -> None:
        """Serve a connection of any kind."""
        inbound: InboundRequest | None = None
        with _JOINING:
            inbound = self._inbound(scope)
        if inbound is None:
            await self._app(scope, receive, send)
            return
        with call_context.current(with_inbound_request(inbound)), _Outcome(self, inbound) as outcome:
            await self._app(scope, receive, outcome.observe(send))

    def _inbound(self, scope: AsgiScope) -> InboundRequest | None:
        if scope["type"] != "http" or inbound_request() is not None:
            return None
        operation = self._operations.get(scope["path"])
        if operation is None:
            return None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return InboundRequest(operation, call_context.extracted(headers))

    def report_refusal(self, inbound: InboundRequest, error: BaseException) -> None:
        """Report a request that ended with an error, unless an operation stands for it."""
        if self._refusal is None or inbound.is_claimed:
            return
        with _REFUSING:
            call = Call.begin(self._telemetry, self._refusal, Arguments(None, (), {}))
            if call is not None:
                call.fail(error)


class _Outcome:
    """The application's answer to one request: its status, or an exception."""

    __slots__ = ("_inbound", "_middleware", "_status")

    def __init__(self, middleware: ServerMiddleware, inbound: InboundRequest) -> None:
        self._middleware, self._inbound = middleware, inbound
        self._status = 0

    def observe(self, send: Any) -> Any:
        """`send`, which remembers the status."""

        async def observed(message: MutableMapping[str, Any]) -> None:
            self._status = self._status or message.get("status", 0)
            await send(message)

        return observed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # The request of a client that disconnects is cancelled, which is not an error.
        if isinstance(error, Exception):
            self._middleware.report_refusal(self._inbound, error)
        elif error is None and self._status >= _FIRST_ERROR_STATUS:
            self._middleware.report_refusal(self._inbound, _RefusalError(self._status))


class _RefusalError(Exception):
    """The error of a request that was answered with an HTTP error status."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


def _refusal_endpoint(provider: str) -> Endpoint:
    # The inbound request replaces the operation's name.
    request = Request(operation=gen_ai.TEXT_COMPLETION, provider=provider, side=Side.INTERNAL)
    return Endpoint(default=request, request=lambda _: request, failure=_refusal)


def _refusal(error: BaseException, content: bool) -> Failure:
    if isinstance(error, _RefusalError):
        return Failure(str(error.status), f"HTTP {error.status}")
    return Failure.of(error, message=str(error) if content else None)
