"""Requests that arrive from outside of the process: whose they are, and since when they wait.

The first inference for such a request is its span, of kind SERVER: it begins when the request arrived. Its parent is the caller's span,
or that which the web framework has opened for the request.
"""

from __future__ import annotations

from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Final

from otel_genai.call import propagation
from otel_genai.guard import Guard
from otel_genai.operation import Side

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from otel_genai.endpoint import Application
    from otel_genai.operation import Request

    Scope = MutableMapping[str, Any]
    Driver = Callable[[Callable[..., Any], Any, tuple[Any, ...], Mapping[str, Any]], Any]
    Asgi = Callable[[Scope, Any, Any], Awaitable[None]]

_ARRIVING: Final = Guard("a request is not joined to its caller's trace")


class Arrival:
    """A request that has arrived and is still to be worked on."""

    __slots__ = ("_operation", "_taken", "began_ns", "started", "within")

    def __init__(self, operation: str, within: Any) -> None:
        self.began_ns = time_ns()
        self.started = perf_counter()
        self.within = within
        """The context that it belongs to."""
        self._operation = operation
        self._taken = False

    def taken(self) -> bool:
        """Whether an operation stands for it already; if not, it is the asking one's from now on."""
        taken, self._taken = self._taken, True
        return taken

    def served(self, request: Request) -> Request:
        """An inference's request, as that of the request that arrived."""
        return request._replace(operation=self._operation, side=Side.SERVER)


class Arrivals:
    """ASGI middleware: what works for a request knows that it does."""

    def __init__(self, app: Asgi, operations: Mapping[str, str]) -> None:
        self._app = app
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve a request, or whatever else it is."""
        within = None
        with _ARRIVING:
            within = self._context(scope)
        if within is None:
            await self._app(scope, receive, send)
            return
        with propagation.current(within):
            await self._app(scope, receive, send)

    def _context(self, scope: Scope) -> Any:
        operation = self._operations.get(scope["path"]) if scope["type"] == "http" else None
        if operation is None:
            return None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return propagation.with_arrival(Arrival(operation, propagation.extracted(headers)))


def serving(row: Application) -> Driver:
    """For functions that build the application of a model server."""

    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
        app = wrapped(*args, **kwargs)
        with _ARRIVING:
            app.add_middleware(Arrivals, operations=row.operations)
        return app

    return drive
