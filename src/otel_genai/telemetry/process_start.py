"""The start of this process, and whether its first generation is over."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/stat")
_START: Final = 22 - 3
"""Index of the start time among the fields after the command, proc(5); the command ends at the last parenthesis."""

_generated_in: int | None = None


def is_first() -> bool:
    """True for the first call in this process."""
    global _generated_in  # noqa: PLW0603 - one a process
    if _generated_in == os.getpid():
        return False
    _generated_in = os.getpid()
    return True


def seconds_until(moment_ns: int) -> float | None:
    """Seconds from the start of the process to a moment (wall clock, nanoseconds); `None` on systems without `/proc`."""
    try:
        ticks = int(_STATUS.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[_START])
    except OSError:
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return age - (time.time_ns() - moment_ns) / 1e9
