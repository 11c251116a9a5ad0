"""Calls of libraries that push what they produce to an object that they were given, and those that tell of a step and no more."""

from __future__ import annotations

from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from otel_genai.call import stream
from otel_genai.call.call import Call
from otel_genai.guard import Guard

if TYPE_CHECKING:
    from otel_genai.call.call import Entered, Since
    from otel_genai.endpoint.endpoint import Arguments, Endpoint, StreamerFold, StreamerHook
    from otel_genai.telemetry.telemetry import Telemetry

_TAPPING: Final = Guard("a span lacks what was generated, and when")
_READING_RESPONSE: Final = Guard("a span lacks what was answered")
_READING_STEP: Final = Guard("a span lacks when something was generated")

# The one within which the library works, apart for every thread.
_entered: ContextVar[StreamerCall | None] = ContextVar("otel-genai-entered", default=None)


class StreamerCall(Call):
    """One call that listens while the library works; it is over when the library returns."""

    __slots__ = ("_counts_steps", "_left", "_pushed")

    def __init__(self, telemetry: Telemetry, endpoint: Endpoint, arguments: Arguments, since: Since | None) -> None:
        super().__init__(telemetry, endpoint, arguments, since)
        self._pushed: StreamerFold | None = None
        self._counts_steps = False

    def tapped(self, tap: StreamerHook, arguments: Arguments) -> Arguments:
        """What to call the library with, so that it tells us what it hands out while it works."""
        with _TAPPING:
            ours, pushed = tap(arguments, self._with_content, lambda sink, skip: stream.tee(sink, skip, self))
            self._counts_steps = pushed.counts_steps()
            self._fold = self._pushed = pushed
            self._await_chunks()
            return ours
        return arguments

    def enter(self) -> Entered:
        """As with any call; from here on it is the one that hears of steps."""
        self._left = _entered.set(self)
        return super().enter()

    def leave(self, token: Entered, error: BaseException | None = None) -> None:
        """As with any call; it hears of no more steps."""
        _entered.reset(self._left)
        super().leave(token, error)

    def ask(self) -> None:
        """The next chunk is being asked for."""
        self._asked_at = perf_counter()

    def step(self, instance: Any) -> None:
        """Take note that `instance`, an object of the library's, has done a step."""
        now = perf_counter()
        pushed = self._pushed
        try:
            if pushed is not None and pushed.stepped(instance):
                self._waits.append(self._asked_at - self._latest)
                self._chunks.append(now)
                self._latest = self._asked_at = now
                if self._first_token is None:
                    self._first_token = now
        except Exception as error:
            if not _READING_STEP.takes(error):
                raise

    def settle(self, result: Any) -> Any:
        """Take note of what the library returned, which is what the application gets."""
        if self._pushed is None:
            return super().settle(result)
        with _READING_RESPONSE:
            self._pushed.returned(result)
        self.finish()
        return result


def on_step(instance: Any) -> None:
    """Tell the call within which the library works, if there is one that listens, that `instance` has done a step."""
    call = _entered.get()
    if call is not None and call._counts_steps:
        call.step(instance)
