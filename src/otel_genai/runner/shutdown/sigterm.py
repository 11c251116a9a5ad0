"""Handles SIGTERM at once in a process that others terminate, whatever its main thread does.

A Python handler runs between two steps of the interpreter. A worker that the signal interrupts just before it waits for a lock would
wait on, and so would its parent. `faulthandler` has a handler in C that writes to a file at once. Here the file is a pipe, and a
thread waits at its other end. The program sees the default action of the signal all the while.
"""

from __future__ import annotations

import _thread
import faulthandler
import os
import signal
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable


def before_sigterm(act: Callable[[], None]) -> None:
    """Call `act` in a thread before SIGTERM kills this process, as it still does. A handler of the program's own wins."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        _install(act)
    elif callable(signal.getsignal(signal.SIGTERM)):
        _install_once_default(act)


def _install(act: Callable[[], None]) -> None:
    reading, writing = os.pipe()
    # The handler must never wait for a reader.
    os.set_blocking(writing, False)
    handler = _Handler(writing)
    handler.install()
    os.register_at_fork(before=handler.pause, after_in_parent=handler.resume)

    def wait() -> None:
        os.read(reading, 1)
        try:
            act()
        finally:
            faulthandler.unregister(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    _thread.start_new_thread(wait, ())


class _Handler:
    """The handler of `faulthandler`. A fork must not have it even briefly: it would write to its parent's pipe."""

    def __init__(self, writing: int) -> None:
        self._writing = writing
        self._process = os.getpid()
        self._is_paused = False

    def install(self) -> None:
        faulthandler.unregister(signal.SIGTERM)
        # Its output is discarded. With one thread only, it writes nothing if that thread has just started.
        faulthandler.register(signal.SIGTERM, self._writing, all_threads=True)

    def pause(self) -> None:
        # A handler that the program has set by now is in place of this one, and stays.
        if self._process == os.getpid() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            faulthandler.unregister(signal.SIGTERM)
            self._is_paused = True

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.install()


def _install_once_default(act: Callable[[], None]) -> None:
    # A server that loads its application late has set a handler by now. At its end, it restores the default action and sends itself
    # the signal again.
    process, set_handler = os.getpid(), signal.signal

    @wraps(set_handler)
    def watched(number: int, handler: Any) -> Any:
        before = set_handler(number, handler)
        if number == signal.SIGTERM and handler is signal.SIG_DFL and os.getpid() == process:
            _install(act)
        return before

    cast("Any", signal).signal = watched
