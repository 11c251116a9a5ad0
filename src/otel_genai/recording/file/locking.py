"""Whose file is whose: a recording is written by one living process at a time, which holds a lock on it.

The first to come has the name that the user gave; every other one writes beside it, under a name with its process id.
"""

from __future__ import annotations

import errno
import os
import re
import weakref
from glob import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_BEGINNING: Final = re.compile(rb'\{\s*"type"\s*:\s*"header"')
_BEGINNING_BYTES: Final = 64


class NotARecordingError(Exception):
    """A file is no recording, or cannot be read. The message is for the user."""


class OwnFile:
    """A file that only this process writes to, for as long as somebody refers to this object."""

    __slots__ = ("__weakref__", "_descriptor")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # Not closed by hand: a thread in the middle of a write would then write to whatever is opened next.
        weakref.finalize(self, os.close, descriptor).atexit = False

    @property
    def size(self) -> int:
        """In bytes."""
        return os.fstat(self._descriptor).st_size

    def append(self, line: bytes) -> None:
        """Write a line, whole: in one system call, and with no lock that a finalizer could find taken.

        Raises OSError, also if there was room for a part of it only.
        """
        if os.write(self._descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def begins_as_recording(self) -> bool:
        """Whether this is a recording, or is still empty."""
        return self.size == 0 or _BEGINNING.match(os.pread(self._descriptor, _BEGINNING_BYTES, 0)) is not None

    def ends_within_a_line(self) -> bool:
        """Whether somebody came to an end, or to the end of the disk, while writing."""
        size = self.size
        return size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"


def claim(path: Path, *, forked: bool = False) -> OwnFile:
    """The file to record to: `path`, or the one beside it if another process has that, or if this one is a fork.

    A recording that is there is continued. Raises NotARecordingError if something else is there, OSError if there is no file to be had.
    """
    beside = path.with_name(f"{path.stem}.{os.getpid()}{path.suffix}")
    for name in (beside,) if forked else (path, beside):
        file = _locked(name, os.O_CREAT)
        if file is None:
            continue
        if not file.begins_as_recording():
            raise NotARecordingError("what is there already is no recording")
        if file.ends_within_a_line():
            file.append(b"\n")
        return file
    raise OSError(errno.EBUSY, "other processes record to it")


def files_of(path: Path) -> list[Path]:
    """What is recorded under this name: `run.jsonl`, and every `run.<pid>.jsonl` beside it, as far as they exist."""
    beside = [
        file
        for file in path.parent.glob(f"{escape(path.stem)}.*{escape(path.suffix)}")
        if file.name.removeprefix(f"{path.stem}.").removesuffix(path.suffix).isdecimal()
    ]
    return [file for file in (path, *sorted(beside)) if file.exists()]


def discard(path: Path) -> None:
    """Remove what is recorded under this name, so that the next recording stands alone.

    Raises NotARecordingError if one of the files is something else, OSError if a process records to it or it cannot be removed.
    """
    found = files_of(path)
    for name in found:
        file = _locked(name)
        if file is None:
            raise OSError(errno.EBUSY, "another process records to it", str(name))
        if not file.begins_as_recording():
            raise NotARecordingError(f"{name} is no recording, and is left as it is")
    for name in found:
        name.unlink()


def _locked(name: Path, creating: int = 0) -> OwnFile | None:
    # `None` if another process has it. The lock goes with the last descriptor, however the process ends.
    import fcntl  # here, because recordings are read on platforms, too, that lack it

    descriptor = os.open(name, os.O_RDWR | os.O_APPEND | creating, 0o666)
    file = OwnFile(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return file
