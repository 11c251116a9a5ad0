"""Calls that only take a request: the library answers in its own time, and an `Account` gathers what it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.call.call import Call
from otel_genai.guard import Guard

if TYPE_CHECKING:
    from otel_genai.call.call import Since
    from otel_genai.endpoint.endpoint import Arguments, Endpoint, RequestState
    from otel_genai.operation import Operation
    from otel_genai.telemetry.telemetry import Telemetry

_EXPECTING: Final = Guard("a span lacks what was answered")
_READING_CHUNK: Final = Guard("a span lacks part of what was told of it")
_READING_ACCOUNT: Final = Guard("a span lacks how it ended, and when")


class DeferredCall(Call):
    """One call that goes on after the library has returned from it, until its state says that it is over."""

    __slots__ = ("state",)

    def __init__(self, telemetry: Telemetry, endpoint: Endpoint, arguments: Arguments, since: Since | None) -> None:
        super().__init__(telemetry, endpoint, arguments, since)
        self.state: RequestState | None = None
        """What gathers word of it; `None` if that could not be made."""
        self._await_chunks()
        if endpoint.state is not None:
            with _EXPECTING:
                self._fold = self.state = endpoint.state(arguments, self._with_content)

    def notify(self, word: Any) -> None:
        """Take note of what the library says of it, which is no chunk of its answer."""
        with _READING_CHUNK:
            if self.state is not None:
                self.state.add(word)

    def is_over(self) -> bool:
        """Whether what the library told last was the end; also if that cannot be read."""
        with _READING_CHUNK:
            return self.state is None or self.state.is_over()
        return True

    def _operation(self, error: BaseException | None, ended: float, *, unfinished: bool) -> Operation:
        operation, state = super()._operation(error, ended, unfinished=unfinished), self.state
        self.state = None  # what was said is not ours to keep
        with _READING_ACCOUNT:
            if state is not None:
                operation = operation._replace(
                    timing=state.timing(operation.timing),
                    failure=operation.failure or state.failure(self._with_content),
                )
        return operation
