"""Has SIGTERM heeded at once in a process that others terminate, whatever its main thread does.

A handler in Python runs between two steps of the interpreter, so a worker that the signal strikes just before it waits for a lock
sleeps through it, and whoever terminated it waits for ever. `faulthandler` has a handler in C that writes to a file at once: here to
a pipe, at whose other end a thread waits. To the program, the signal has its default action all the while.
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
    """Call `act` in a thread of its own before SIGTERM kills this process, as it still does. A handler of the program's own wins."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        _stand_by(act)
    elif callable(signal.getsignal(signal.SIGTERM)):
        _stand_by_when_restored(act)


def _stand_by(act: Callable[[], None]) -> None:
    reading, writing = os.pipe()
    # The handler must never wait for somebody to read.
    os.set_blocking(writing, False)
    watch = _Watch(writing)
    watch.begin()
    os.register_at_fork(before=watch.pause, after_in_parent=watch.resume)

    def wait() -> None:
        os.read(reading, 1)
        try:
            act()
        finally:
            faulthandler.unregister(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    _thread.start_new_thread(wait, ())


class _Watch:
    """The handler, which a fork must not have for a moment: it would report to this process what was meant for the fork."""

    def __init__(self, writing: int) -> None:
        self._writing = writing
        self._process = os.getpid()
        self._is_paused = False

    def begin(self) -> None:
        faulthandler.unregister(signal.SIGTERM)
        # What it writes nobody reads. Of all threads, because of one that has only just begun it would write nothing.
        faulthandler.register(signal.SIGTERM, self._writing, all_threads=True)

    def pause(self) -> None:
        # What the program has set itself by now is in place of ours, and stays.
        if self._process == os.getpid() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            faulthandler.unregister(signal.SIGTERM)
            self._is_paused = True

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.begin()


def _stand_by_when_restored(act: Callable[[], None]) -> None:
    # A server that loads its application late has its own handler in place by now, and in the end it restores the default and sends
    # itself the signal once more.
    process, set_handler = os.getpid(), signal.signal

    @wraps(set_handler)
    def watched(number: int, handler: Any) -> Any:
        before = set_handler(number, handler)
        if number == signal.SIGTERM and handler is signal.SIG_DFL and os.getpid() == process:
            _stand_by(act)
        return before

    cast("Any", signal).signal = watched
