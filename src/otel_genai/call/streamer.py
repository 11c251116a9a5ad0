"""Calls of libraries that push chunks to a streamer while they work, and of libraries that only report their steps."""

from __future__ import annotations

from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from otel_genai.call import stream
from otel_genai.call.call import Call
from otel_genai.guard import Guard

if TYPE_CHECKING:
    from otel_genai.call.call import Entered, Since
    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.endpoint.endpoint import Endpoint, StreamerFold, StreamerHook
    from otel_genai.telemetry.telemetry import Telemetry

_HOOKING: Final = Guard("a span lacks its output, and the times of its tokens")
_READING_RESPONSE: Final = Guard("a span lacks its response's attributes")
_READING_STEP: Final = Guard("a span lacks the times of its tokens")

# The call that the library works on; each thread has its own.
_entered: ContextVar[StreamerCall | None] = ContextVar("otel-genai-entered", default=None)


class StreamerCall(Call):
    """A call that receives chunks or steps while the library works, and ends when the library returns."""

    __slots__ = ("_counts_steps", "_outer", "_streamer_fold")

    def __init__(self, telemetry: Telemetry, endpoint: Endpoint, arguments: Arguments, since: Since | None) -> None:
        super().__init__(telemetry, endpoint, arguments, since)
        self._streamer_fold: StreamerFold | None = None
        self._counts_steps = False

    def hook(self, hook: StreamerHook, arguments: Arguments) -> Arguments:
        """The arguments for the library, with a streamer that reports to this call; the caller's own if `hook` fails."""
        with _HOOKING:
            hooked, fold = hook(
                arguments,
                self._with_content,
                lambda streamer, skip: stream.streamer_tee(streamer, skip, self),
            )
            self._counts_steps = fold.counts_steps()
            self._fold = self._streamer_fold = fold
            self._await_chunks()
            return hooked
        return arguments

    def enter(self) -> Entered:
        """As `Call.enter`. `on_step` reports to this call until `leave`."""
        self._outer = _entered.set(self)
        return super().enter()

    def leave(self, token: Entered, error: BaseException | None = None) -> None:
        """As `Call.leave`."""
        _entered.reset(self._outer)
        super().leave(token, error)

    def consumed(self) -> None:
        """The application's streamer has returned: from now on the library works on the next chunk."""
        self._asked_at = perf_counter()

    def step(self, instance: Any) -> None:
        """Record a step that `instance`, an object of the library's, has done."""
        now = perf_counter()
        fold = self._streamer_fold
        try:
            if fold is not None and fold.stepped(instance):
                self._waits.append(self._asked_at - self._latest)
                self._chunks.append(now)
                self._latest = self._asked_at = now
                if self._first_token is None:
                    self._first_token = now
        except Exception as error:
            if not _READING_STEP.takes(error):
                raise

    def return_value(self, result: Any) -> Any:
        """Read the library's result, and return it."""
        if self._streamer_fold is None:
            return super().return_value(result)
        with _READING_RESPONSE:
            self._streamer_fold.returned(result)
        self.finish()
        return result


def on_step(instance: Any) -> None:
    """Report a step of `instance` to the call that the library works on, if that counts steps."""
    call = _entered.get()
    if call is not None and call._counts_steps:
        call.step(instance)
