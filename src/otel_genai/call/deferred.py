"""Calls that only submit a request: the library answers later, and a `RequestState` gathers the events that it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.call.call import Call
from otel_genai.guard import Guard

if TYPE_CHECKING:
    from otel_genai.call.call import Since
    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.endpoint.endpoint import Endpoint, RequestState
    from otel_genai.operation import Operation
    from otel_genai.telemetry.telemetry import Telemetry

_OPENING: Final = Guard("a span lacks its response's attributes")
_READING_EVENT: Final = Guard("a span lacks part of its response's attributes")
_READING_END: Final = Guard("a span lacks its engine's times, and a failure that the engine reported")


class DeferredCall(Call):
    """A call that goes on after the library has returned from it, until its state says that the request is over."""

    __slots__ = ("state",)

    def __init__(self, telemetry: Telemetry, endpoint: Endpoint, arguments: Arguments, since: Since | None) -> None:
        super().__init__(telemetry, endpoint, arguments, since)
        self.state: RequestState | None = None
        """The state of the request; `None` if it could not be made, and after the end."""
        self._await_chunks()
        if endpoint.state is not None:
            with _OPENING:
                self._fold = self.state = endpoint.state(arguments, self._with_content)

    def notify(self, event: Any) -> None:
        """Give the state an event that the library reported. It has no time of its own, unlike a chunk."""
        with _READING_EVENT:
            if self.state is not None:
                self.state.add(event)

    def is_over(self) -> bool:
        """Whether the last event ended the request; also True if that cannot be read."""
        with _READING_EVENT:
            return self.state is None or self.state.is_over()
        return True

    def _operation(self, error: BaseException | None, ended: float, *, unfinished: bool) -> Operation:
        operation, state = super()._operation(error, ended, unfinished=unfinished), self.state
        self.state = None  # it may hold content
        with _READING_END:
            if state is not None:
                operation = operation._replace(
                    timing=state.timing(operation.timing),
                    failure=operation.failure or state.failure(self._with_content),
                )
        return operation
