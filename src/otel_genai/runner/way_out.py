"""What happens when a process leaves: the summary comes last, and neither SIGTERM nor `multiprocessing` loses telemetry.

The interpreter runs exit functions last in, first out. Ours is registered before the SDK's providers and before instrumentation,
so it runs after open streams have ended and the providers have flushed.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, cast

from otel_genai.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_PATIENCE: Final = 5.0
"""Seconds that a process told to terminate may spend on telemetry: supervisors kill after ten or thirty."""
_PATIENCE_OF_A_CHILD: Final = 2.0
"""The same of a process that somebody waits for."""

_SET_HANDLER: Final = signal.signal

_FLUSHING = Guard("telemetry that was not yet sent is lost")
_CONCLUDING = Guard("the run has no conclusion")


class WayOut:
    """Flushes in every process; prints the summary once, in the process that was started and in no fork of it."""

    def __init__(self, summarise: Callable[[], None] | None, *, child: bool = False) -> None:
        self._summarise = summarise
        self._process = os.getpid()
        self._patience = _PATIENCE_OF_A_CHILD if child else _PATIENCE
        self._flush: Callable[[], None] = _nothing
        self._heeds_sigterm = 0
        self.interrupted = False
        """Whether the program has ended by KeyboardInterrupt."""
        if summarise is not None:
            atexit.register(self.summarise)

    def summarise(self) -> None:
        """Print the summary, if there is to be one and it was not printed before."""
        summarise, self._summarise = self._summarise, None
        if summarise is None or os.getpid() != self._process:
            return
        with _CONCLUDING:
            summarise()
        if self.interrupted:
            _remember_interrupt()

    def forgo(self) -> None:
        """Print no summary: there was nothing to run."""
        self._summarise = None

    def flush_by(self, flush: Callable[[], None]) -> None:
        """From now on, flush with this before SIGTERM kills, as it still does, and before a worker of `multiprocessing` ends."""
        self._flush = flush
        self.heed_sigterm()
        _before_workers_end(self._flush_within)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._fork)

    def heed_sigterm(self) -> None:
        """Flush before SIGTERM kills this process. A handler that the application installs wins."""
        if self._heeds_sigterm == os.getpid() or threading.current_thread() is not threading.main_thread():
            return
        self._heeds_sigterm = os.getpid()
        found = signal.getsignal(signal.SIGTERM)
        if found is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._terminate)
        elif callable(found):
            self._heed_when_restored()

    def _heed_when_restored(self) -> None:
        # A server that loads its application late has its own handler in place by now, and in the end it restores the default and
        # sends itself the signal once more.
        process, set_handler = os.getpid(), signal.signal

        @wraps(set_handler)
        def watched(number: int, handler: Any) -> Any:
            is_back = number == signal.SIGTERM and handler is signal.SIG_DFL and os.getpid() == process
            return set_handler(number, self._terminate if is_back else handler)

        cast("Any", signal).signal = watched

    def end_by(self, number: int) -> None:
        """End as a program did that a signal ended."""
        self._flush_within()
        self.summarise()
        _die_by(number)

    def _terminate(self, number: int, _: FrameType | None) -> None:
        self._flush_within()
        _within(self._patience, self.summarise)
        _die_by(number)

    def _flush_within(self) -> None:
        def flush() -> None:
            with _FLUSHING:
                self._flush()

        _within(self._patience, flush)

    def _fork(self) -> None:
        # Pools terminate their workers and expect them to die at once, as they do without us: until there is something to lose.
        if signal.getsignal(signal.SIGTERM) == self._terminate:
            _SET_HANDLER(signal.SIGTERM, signal.SIG_DFL)
        self._patience = _PATIENCE_OF_A_CHILD
        _before_workers_end(self._flush_within)


def _die_by(number: int) -> None:
    # SIGKILL can be had without asking.
    with suppress(OSError):
        _SET_HANDLER(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _remember_interrupt() -> None:
    """CPython ends by SIGINT if KeyboardInterrupt ended the program last evaluated from source: not one of those that imports evaluate."""
    with suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")  # noqa: S102


def _before_workers_end(flush: Callable[[], None]) -> None:
    """Workers that `multiprocessing` forks leave without the interpreter's exit functions; it has its own, which it drops at first."""
    if util := sys.modules.get("multiprocessing.util"):

        def register(_: object = None) -> None:
            util.Finalize(None, flush, exitpriority=-100)

        register()
        util.register_after_fork(register, register)


def _nothing() -> None:
    """There is nothing to flush yet."""


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
