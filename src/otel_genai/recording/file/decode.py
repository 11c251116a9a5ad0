"""Recordings are read here. Unknown keys and kinds of lines are skipped; damaged lines are counted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_genai.recording.file import schema
from otel_genai.recording.file.encode import SCHEMA
from otel_genai.recording.file.locking import NotARecordingError
from otel_genai.recording.file.records import Process, RecordedOperation, Recordings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from io import BufferedReader
    from os import PathLike

_logger = logging.getLogger("otel_genai")

_STEP: Final = 1 << 20
"""Bytes between two reports of progress."""
_LONGEST_HEADER: Final = 1 << 24
"""Bytes. A file that is no recording need not be read whole to see that."""


class _Limit(NamedTuple):
    left_out: int | None


class _Damage(NamedTuple):
    line: int


def read(path: str | PathLike[str]) -> Iterator[RecordedOperation]:
    """The operations of one recording, in the order in which they ended. The file is read while you iterate.

    Damaged lines are left out, with one warning in the log. Raises NotARecordingError for a file that is no recording, that
    cannot be read or that has a later schema.
    """
    damaged = []
    for found in _contents(Path(path), None):
        if isinstance(found, RecordedOperation):
            yield found
        elif isinstance(found, _Damage):
            damaged.append(found.line)
    if damaged:
        _logger.warning("%s: damaged lines are left out: %d, the first is line %d", path, len(damaged), damaged[0])


def read_recordings(paths: Sequence[Path], progress: Callable[[int], None] | None = None) -> Recordings:
    """The content of recordings. `progress` gets the number of bytes read since its last call.

    Raises as `read` does.
    """
    recordings = Recordings()
    for path in paths:
        for found in _contents(path, progress):
            match found:
                case RecordedOperation():
                    recordings.operations.append(found)
                case Process():
                    recordings.processes.append(found)
                case _Limit(None):
                    recordings.limited += 1
                case _Limit(int(left_out)):
                    recordings.left_out += left_out
                case _Damage():
                    recordings.damaged += 1
    return recordings


def _contents(
    path: Path, progress: Callable[[int], None] | None
) -> Iterator[RecordedOperation | Process | _Limit | _Damage]:
    """The lines of one file. An operation belongs to the process whose header is the last one before it."""
    try:
        with path.open("rb") as file:
            lines = _lines(file, progress)
            yield (process := _first_process(next(lines), path))
            for number, line in enumerate(lines, 2):
                try:
                    found = schema.operation_line(line) or schema.parsed(line)
                    if isinstance(found, schema.OperationLine):
                        yield schema.recorded(found, process)
                    elif isinstance(found, schema.LimitLine):
                        yield _Limit(found.left_out)
                    elif found is not None:
                        yield (process := _process(found, path))
                except schema.DAMAGE:
                    yield _Damage(number)
    except OSError as error:
        raise NotARecordingError(f"{path}: {error.strerror}") from error


def _lines(file: BufferedReader, progress: Callable[[int], None] | None) -> Iterator[bytes]:
    first = file.readline(_LONGEST_HEADER)
    unreported = len(first)
    yield first
    for line in file:
        unreported += len(line)
        if progress is not None and unreported >= _STEP:
            progress(unreported)
            unreported = 0
        yield line
    if progress is not None:
        progress(unreported)


def _first_process(line: bytes, path: Path) -> Process:
    try:
        found = schema.parsed(line)
        if isinstance(found, dict):
            return _process(found, path)
    except schema.DAMAGE:
        pass
    raise NotARecordingError(f"{path} is no recording: it does not begin with a header")


def _process(header: dict[str, Any], path: Path) -> Process:
    if header["schema"] != SCHEMA:
        raise NotARecordingError(
            f"{path} has schema {header['schema']}, and this version of otel-genai reads schema {SCHEMA}"
        )
    return schema.header_line(header).process(path)
