"""When this process began, and what it has done for the first time since."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/stat")
_START: Final = 22 - 3
"""The start time's place among the fields after the command, which may itself hold anything but the last parenthesis."""

_done_in: int | None = None


def first_time() -> bool:
    """Whether this is the first time in this process that anybody asks."""
    global _done_in  # noqa: PLW0603 - one a process
    if _done_in == os.getpid():
        return False
    _done_in = os.getpid()
    return True


def seconds_until(moment_ns: int) -> float | None:
    """Seconds from the start of the process to a moment (wall clock, nanoseconds); `None` where the system does not tell."""
    try:
        ticks = int(_STATUS.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[_START])
    except OSError:
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return age - (time.time_ns() - moment_ns) / 1e9
