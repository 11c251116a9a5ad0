"""The files of processes: a recording is written by one process at a time, which holds a lock on it.

The first process writes to the user's file name. Every other one writes beside it, to a name with its process id.
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
    """A file is no recording or cannot be read. The message is for the user."""


class OwnFile:
    """A file that only this process writes to, for as long as this object lives."""

    __slots__ = ("__weakref__", "_descriptor")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # Closed by the finalizer: a thread that is just writing would otherwise write to the file that is opened next.
        weakref.finalize(self, os.close, descriptor).atexit = False

    @property
    def size(self) -> int:
        """The file's length in bytes."""
        return os.fstat(self._descriptor).st_size

    def append(self, line: bytes) -> None:
        """Write a line in one system call, without a lock that a finalizer could find taken.

        Raises OSError, also if only a part of the line was written.
        """
        if os.write(self._descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def begins_as_recording(self) -> bool:
        """Whether this is a recording or still empty."""
        return self.size == 0 or _BEGINNING.match(os.pread(self._descriptor, _BEGINNING_BYTES, 0)) is not None

    def ends_within_a_line(self) -> bool:
        """Whether the last write was cut off, by a crash or by a full disk."""
        size = self.size
        return size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"


def claim(path: Path, *, forked: bool = False) -> OwnFile:
    """The file to record to: `path`, or a file beside it if another process holds `path` or this process is a fork.

    An existing recording is continued. Raises NotARecordingError if the file is something else, OSError if it cannot be opened.
    """
    beside = path.with_name(f"{path.stem}.{os.getpid()}{path.suffix}")
    for name in (beside,) if forked else (path, beside):
        file = _locked(name, os.O_CREAT)
        if file is None:
            continue
        if not file.begins_as_recording():
            raise NotARecordingError("the existing file is no recording")
        if file.ends_within_a_line():
            file.append(b"\n")
        return file
    raise OSError(errno.EBUSY, "other processes record to it")


def files_of(path: Path) -> list[Path]:
    """The existing files of a recording: `run.jsonl`, and every `run.<pid>.jsonl` beside it."""
    beside = [
        file
        for file in path.parent.glob(f"{escape(path.stem)}.*{escape(path.suffix)}")
        if file.name.removeprefix(f"{path.stem}.").removesuffix(path.suffix).isdecimal()
    ]
    return [file for file in (path, *sorted(beside)) if file.exists()]


def discard(path: Path) -> None:
    """Remove the files of a recording, so that the next one starts empty.

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
    # `None` if another process holds it. The lock ends with the last descriptor, however the process ends.
    import fcntl  # here, because recordings can also be read on platforms without it

    descriptor = os.open(name, os.O_RDWR | os.O_APPEND | creating, 0o666)
    file = OwnFile(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return file
