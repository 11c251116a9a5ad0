"""Records every finished operation of this process to a file, a line each, at once: a killed process loses none of them.

A line is one write without a lock, because an operation may end anywhere: in any thread, and in a finalizer.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from importlib.metadata import PackageNotFoundError, distribution, version
from itertools import count
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from otel_genai.recording.file import encode
from otel_genai.recording.file.argv import recordable
from otel_genai.recording.file.locking import NotARecordingError, OwnFile, claim
from otel_genai.telemetry.observers import observe
from otel_genai.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from otel_genai.operation import Operation

_logger = logging.getLogger("otel_genai")

_recorder: Recorder | None = None


def record_to(path: Path | None, limit_bytes: int) -> None:
    """Record to this file from now on, or stop if it is `None`. A recording to the same file continues.

    A file that cannot be written is one warning in the log.
    """
    global _recorder  # noqa: PLW0603  # one for the process, as the observers
    path = None if path is None else path.absolute()
    if _recorder is not None:
        if _recorder.path == path:
            return
        _recorder.stop()
    _recorder = None if path is None else Recorder(path, limit_bytes)


class Recorder:
    """The recording of this process. A fork has a file of its own, from its first operation on."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self.path = path
        self._limit_bytes = limit_bytes
        self._begin(forked=False)
        self._open()
        self._unobserve = observe(self.write)
        atexit.register(self._write_left_out)

    def _begin(self, *, forked: bool) -> None:
        self._forked = forked
        self._file: OwnFile | None = None
        self._opened = False
        self._opening = threading.RLock()
        # The thread that pops the one item reports that the file is full: `list.pop` is atomic, as is a step of `count`.
        self._below_limit = [True]
        self._left_out = count()

    def write(self, operation: Operation, span: Any) -> None:
        """Record a finished operation."""
        file = self._file if self._opened else self._open()
        if file is None:
            return
        if not self._below_limit:
            next(self._left_out)
            return
        line = encode.operation(operation, span)
        try:
            if file.size + len(line) <= self._limit_bytes:
                file.append(line)
            else:
                self._fill(file)
        except OSError as error:
            self._give_up(error)

    def fork(self) -> None:
        """Start a recording of its own in a forked process."""
        self._begin(forked=True)

    def stop(self) -> None:
        """Stop recording."""
        self._unobserve()
        atexit.unregister(self._write_left_out)
        self._write_left_out()
        self._file = None

    def _open(self) -> OwnFile | None:
        with self._opening:
            if not self._opened:
                try:
                    file = claim(self.path, forked=self._forked)
                    file.append(_header())
                    self._file = file
                except (OSError, NotARecordingError) as error:
                    self._give_up(error)
                self._opened = True
            return self._file

    def _fill(self, file: OwnFile) -> None:
        next(self._left_out)
        try:
            self._below_limit.pop()
        except IndexError:
            return
        file.append(encode.limit(self._limit_bytes))
        _logger.warning("%s has reached its size limit: further operations are not recorded", self.path)

    def _write_left_out(self) -> None:
        file, operations = self._file, next(self._left_out)
        if file is None or not operations:
            return
        try:
            file.append(encode.left_out(operations))
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError | NotARecordingError) -> None:
        self._file = None
        reason = error.strerror if isinstance(error, OSError) else error
        _logger.warning("operations are not recorded to %s: %s", self.path, reason)


def _header() -> bytes:
    return encode.header(
        wall_ns=time_ns(),
        monotonic_ns=perf_counter_ns(),
        host=os.uname().nodename,
        pid=os.getpid(),
        command=recordable(sys.argv),
        versions={"python": sys.version.split()[0], "otel-genai": __version__, **_libraries()},
    )


def _libraries() -> dict[str, str]:
    """The installed libraries with an instrumentation, and their versions."""
    found = {}
    for entry_point in distribution("otel-genai").entry_points.select(group="opentelemetry_instrumentor"):
        for requirement in entry_point.load().requires:
            library = requirement.partition(" ")[0]
            try:
                found[library] = version(library)
            except PackageNotFoundError:
                continue
    return found


def _fork() -> None:
    if _recorder is not None:
        _recorder.fork()


os.register_at_fork(after_in_child=_fork)
