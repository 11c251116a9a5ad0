"""A program that is not Python, or Python of another environment: it runs as a child, and this process stands in for it.

Signals are passed on to it, and this process ends as it ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_genai.runner.target.become import CannotRunError, EndedBySignalError

if TYPE_CHECKING:
    from types import FrameType

_PASSED_ON: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


class Foreign:
    """A program to be run as a process of its own."""

    def __init__(self, path: str, args: tuple[str, ...] = ()) -> None:
        self.path = path
        self.args = args

    @property
    def name(self) -> str:
        """What its file is called, without the ending."""
        return Path(self.path).stem

    def locate(self) -> None:
        """It was found before; whether it can be run only running it tells."""

    def execute(self) -> None:
        """Run it to its end; raises SystemExit with its status, EndedBySignalError, or CannotRunError if it cannot be run."""
        process: subprocess.Popen[bytes] | None = None
        early: list[int] = []

        def pass_on(number: int, _: FrameType | None) -> None:
            if process is None:
                early.append(number)
            # A terminal's Ctrl-C has reached the program already, and twice means "at once" to many.
            elif number != signal.SIGINT or not _in_terminal_foreground():
                with suppress(ProcessLookupError):
                    process.send_signal(number)

        for name in _PASSED_ON:
            if (number := getattr(signal, name, None)) and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, pass_on)
        try:
            process = subprocess.Popen([self._executable(), *self.args])  # noqa: S603 - to run it is what we are for
        except OSError as error:
            raise CannotRunError(f"cannot run {self.path}: {error.strerror}") from None
        for number in early:
            pass_on(number, None)
        status = process.wait()
        if status < 0:
            raise EndedBySignalError(-status)
        sys.exit(status)

    def _executable(self) -> str:
        # A bare name would be searched for on PATH, where the working directory is not.
        return self.path if os.sep in self.path else f".{os.sep}{self.path}"


def _in_terminal_foreground() -> bool:
    try:
        with Path("/dev/tty").open("rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
