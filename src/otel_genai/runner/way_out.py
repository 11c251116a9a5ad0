"""What happens when the process leaves: the summary comes last, and SIGTERM loses no telemetry.

The interpreter runs exit functions last in, first out. Ours is registered before the SDK's providers and before instrumentation,
so it runs after open streams have ended and the providers have flushed.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import threading
from typing import TYPE_CHECKING, Final

from otel_genai.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_PATIENCE: Final = 5.0
"""Seconds that a process told to terminate may spend on telemetry: supervisors kill after ten or thirty."""

_FLUSHING = Guard("telemetry that was not yet sent is lost")
_SUMMARISING = Guard("the summary is not printed")


class WayOut:
    """Prints the summary once, in the process that was started and in no fork of it."""

    def __init__(self, summarise: Callable[[], None] | None) -> None:
        self._summarise = summarise
        self._process = os.getpid()
        atexit.register(self.summarise)

    def summarise(self) -> None:
        """Print the summary, if there is to be one and it was not printed before."""
        summarise, self._summarise = self._summarise, None
        if summarise is None or os.getpid() != self._process:
            return
        with _SUMMARISING:
            summarise()

    def forgo(self) -> None:
        """Print no summary: there was nothing to run."""
        self._summarise = None

    def flush_on_sigterm(self, flush: Callable[[], None]) -> None:
        """Flush and summarise before SIGTERM kills, as it still does. A handler that the application installs wins."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return

        def guarded_flush() -> None:
            with _FLUSHING:
                flush()

        def terminate(signum: int, _: FrameType | None) -> None:
            _within(_PATIENCE, guarded_flush)
            _within(_PATIENCE, self.summarise)
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

        def forget() -> None:
            # Pools terminate their workers and expect them to die at once, as they do without us.
            if signal.getsignal(signal.SIGTERM) is terminate:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)

        signal.signal(signal.SIGTERM, terminate)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=forget)


def _within(seconds: float, action: Callable[[], None]) -> None:
    """Run the action in a thread of its own and wait no longer than this.

    The signal may have struck the main thread while it held a lock of the SDK's, or of `threading` itself, which is why the thread
    is a bare one.
    """
    done = _thread.allocate_lock()
    done.acquire()

    def act() -> None:
        try:
            action()
        finally:
            done.release()

    try:
        _thread.start_new_thread(act, ())
    except RuntimeError:
        # The interpreter is already finishing, and has flushed or is about to.
        return
    done.acquire(timeout=seconds)
