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
from typing import TYPE_CHECKING, Final

from otel_genai.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_PATIENCE: Final = 5.0
"""Seconds that a process told to terminate may spend on telemetry: supervisors kill after ten or thirty."""
_PATIENCE_OF_A_CHILD: Final = 2.0
"""The same of a process that somebody waits for."""

_FLUSHING = Guard("telemetry that was not yet sent is lost")
_HEEDING = Guard("telemetry that was not yet sent is lost when this process is terminated")
_CONCLUDING = Guard("the run has no conclusion")


class Shutdown:
    """Flushes in every process; prints the summary once, in the process that was started and in no fork of it."""

    def __init__(self, summarise: Callable[[], None] | None, *, child: bool = False) -> None:
        self._summarise = summarise
        self._process = os.getpid()
        self._is_child = child
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
        in_main_thread = threading.current_thread() is threading.main_thread()
        if not self._is_child and in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._terminate)
        _before_workers_end(self._flush_within)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._fork)

    def something_to_lose(self) -> None:
        """There is telemetry that has not been sent. Only now does a child heed SIGTERM: pools expect that their workers die at once."""
        if self._is_child and self._heeds_sigterm != os.getpid():
            self._heeds_sigterm = os.getpid()
            with _HEEDING:
                from otel_genai.runner.shutdown.sigterm import before_sigterm

                before_sigterm(self._flush_within)

    def end_by(self, number: int) -> None:
        """End as a program did that a signal ended."""
        self._flush_within()
        self.summarise()
        _die_by(number)

    def _terminate(self, number: int, _: FrameType | None) -> None:
        self._flush_within()
        _within(_PATIENCE, self.summarise)
        _die_by(number)

    def _flush_within(self) -> None:
        def flush() -> None:
            with _FLUSHING:
                self._flush()

        _within(_PATIENCE_OF_A_CHILD if self._is_child else _PATIENCE, flush)

    def _fork(self) -> None:
        if signal.getsignal(signal.SIGTERM) == self._terminate:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._is_child = True
        _before_workers_end(self._flush_within)


def _die_by(number: int) -> None:
    # SIGKILL can be had without asking.
    with suppress(OSError):
        signal.signal(number, signal.SIG_DFL)
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
