"""Runs a program as a subprocess: one that is not in Python, or in the Python of another environment.

Signals are passed on to it, and this process ends as it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_genai.runner.errors import CannotRunError, EndedBySignalError

if TYPE_CHECKING:
    from types import FrameType

_PASSED_ON: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


class Subprocess:
    """A program that is not run by this interpreter."""

    def __init__(self, path: str, args: tuple[str, ...] = ()) -> None:
        self.path = path
        self.args = args

    @property
    def name(self) -> str:
        """The name of the file, without its suffix."""
        return Path(self.path).stem

    def locate(self) -> None:
        """Do nothing: the file is there, and only its execution shows whether it can be run."""

    def execute(self) -> None:
        """Run the program to its end.

        Raises SystemExit with its status, EndedBySignalError if a signal ended it, or CannotRunError if it cannot be run.
        """
        process: subprocess.Popen[bytes] | None = None
        early: list[int] = []

        def pass_on(number: int, _: FrameType | None) -> None:
            if process is None:
                early.append(number)
            # A terminal sends SIGINT to the program, too, and to many programs a second one means "at once".
            elif number != signal.SIGINT or not _in_terminal_foreground():
                with suppress(ProcessLookupError):
                    process.send_signal(number)

        for name in _PASSED_ON:
            if (number := getattr(signal, name, None)) and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, pass_on)
        try:
            process = subprocess.Popen([self._executable(), *self.args])  # noqa: S603 - the user's own program
        except OSError as error:
            raise CannotRunError(f"cannot run {self.path}: {error.strerror}") from None
        for number in early:
            pass_on(number, None)
        status = process.wait()
        if status < 0:
            raise EndedBySignalError(-status)
        sys.exit(status)

    def _executable(self) -> str:
        # `Popen` searches PATH for a name without a separator, and the working directory is not on PATH.
        return self.path if os.sep in self.path else f".{os.sep}{self.path}"


def _in_terminal_foreground() -> bool:
    try:
        with Path("/dev/tty").open("rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
