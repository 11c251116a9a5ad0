"""The exit of a process: the run's output comes last, and neither SIGTERM nor `multiprocessing` loses telemetry.

The interpreter calls exit functions in reverse order. The one for the output is registered before those of the SDK's providers and of
the instrumentation, so open streams have ended and providers have flushed by then.
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

_TIMEOUT_S: Final = 5.0
"""The time that a process may spend on telemetry after SIGTERM: supervisors kill after ten or thirty seconds."""
_CHILD_TIMEOUT_S: Final = 2.0
"""The same for a child, because its parent waits for it."""

_FLUSHING = Guard("telemetry that was not yet sent is lost")
_HANDLING_SIGTERM = Guard("telemetry that was not yet sent is lost when this process is terminated")
_WRITING = Guard("the run has no summary and no report")


class Shutdown:
    """Flushes in every process; writes the output once, in the process of the run and in no fork of it."""

    def __init__(self, write_output: Callable[[], None] | None, *, child: bool = False) -> None:
        self._write_output = write_output
        self._process = os.getpid()
        self._is_child = child
        self._flush: Callable[[], None] = _flush_nothing
        self._handles_sigterm_in = 0
        self.interrupted = False
        """Whether KeyboardInterrupt has ended the program."""
        if write_output is not None:
            atexit.register(self.write_output)

    def write_output(self) -> None:
        """Write the output, unless there is none or it was written before."""
        write, self._write_output = self._write_output, None
        if write is None or os.getpid() != self._process:
            return
        with _WRITING:
            write()
        if self.interrupted:
            _restore_interrupt()

    def cancel_output(self) -> None:
        """Write no output: the program was not run."""
        self._write_output = None

    def set_flush(self, flush: Callable[[], None]) -> None:
        """Call `flush` before SIGTERM kills this process, as it still does, and before a `multiprocessing` worker ends."""
        self._flush = flush
        in_main_thread = threading.current_thread() is threading.main_thread()
        if not self._is_child and in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._on_sigterm)
        _before_workers_end(self._flush_in_time)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def note_unsent_data(self) -> None:
        """Handle SIGTERM in a child from now on, and no earlier: process pools expect that idle workers die at once."""
        if self._is_child and self._handles_sigterm_in != os.getpid():
            self._handles_sigterm_in = os.getpid()
            with _HANDLING_SIGTERM:
                from otel_genai.runner.shutdown.sigterm import before_sigterm

                before_sigterm(self._flush_in_time)

    def exit_by_signal(self, number: int) -> None:
        """Flush, write the output, and end this process by the signal that has ended its program."""
        self._flush_in_time()
        self.write_output()
        _kill_by(number)

    def _on_sigterm(self, number: int, _: FrameType | None) -> None:
        self._flush_in_time()
        _run_within(_TIMEOUT_S, self.write_output)
        _kill_by(number)

    def _flush_in_time(self) -> None:
        def flush() -> None:
            with _FLUSHING:
                self._flush()

        _run_within(_CHILD_TIMEOUT_S if self._is_child else _TIMEOUT_S, flush)

    def _after_fork(self) -> None:
        if signal.getsignal(signal.SIGTERM) == self._on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._is_child = True
        _before_workers_end(self._flush_in_time)


def _kill_by(number: int) -> None:
    # SIGKILL has no handler that could be set.
    with suppress(OSError):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _restore_interrupt() -> None:
    """Make CPython end by SIGINT again.

    It does so if KeyboardInterrupt has ended the code last evaluated from source (3.11 Python/pythonrun.c `run_eval_code_obj`). The
    imports of the output evaluate code, too.
    """
    with suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")  # noqa: S102


def _before_workers_end(flush: Callable[[], None]) -> None:
    """Call `flush` at the end of workers that `multiprocessing` forks.

    They skip the interpreter's exit functions. `multiprocessing` has finalizers in place of them, and drops those that it inherits by a
    fork (CPython 3.11 multiprocessing/process.py `_bootstrap`).
    """
    if util := sys.modules.get("multiprocessing.util"):

        def register(_: object = None) -> None:
            util.Finalize(None, flush, exitpriority=-100)

        register()
        util.register_after_fork(register, register)


def _flush_nothing() -> None:
    """There is no provider yet."""


def _run_within(timeout_s: float, action: Callable[[], None]) -> None:
    """Run the action in a thread, and wait for it no longer than the timeout.

    The signal may have interrupted a main thread that holds a lock of the SDK or of `threading`: hence the low-level thread.
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
        # The interpreter is finalizing: exit functions flush, or have flushed.
        return
    done.acquire(timeout=timeout_s)
