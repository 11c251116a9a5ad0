"""Recordings read back: operations with their times in seconds. Unknown keys and lines are skipped, damaged lines counted."""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_genai.operation import Side
from otel_genai.recording.file.encode import SCHEMA
from otel_genai.recording.file.locking import NotARecordingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from io import BufferedReader
    from pathlib import Path

_MICROSECONDS: Final = 1e6
_STEP: Final = 1 << 20
"""Bytes between two reports of progress."""
_LONGEST_HEADER: Final = 1 << 24
"""Bytes: what is no recording need not be read whole in order to see that."""
_DAMAGE: Final = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What a line raises that is cut off, or was not written by us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Who recorded."""

    host: str
    pid: int
    command: tuple[str, ...]
    versions: Mapping[str, str]
    path: Path
    """Of the recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One operation. Times are seconds from its start, `None` and empty where nobody told; its content is not kept."""

    process: Process
    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    operation: str
    provider: str
    model: str | None
    """The one that answered, or else the one that was asked."""
    side: str
    stream: bool
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    usage: Mapping[str, Any]
    """Tokens; counts by modality are mappings of their own."""
    error: Mapping[str, str] | None
    unfinished: bool
    """Whether the process came to its end first."""
    began_ns: int
    """Wall clock at its start, nanoseconds since the epoch."""
    duration: float
    first_token: float | None
    asked: Sequence[float]
    """For every chunk, when it was asked for."""
    chunks: Sequence[float]
    """For every chunk, when it arrived; as long as `asked`."""
    tokens: Sequence[int]
    """For every chunk, how many output tokens it brought; as long as `chunks`, or empty."""
    phases: Mapping[str, float]
    """Of a server's own account: how long each took."""


@dataclass(slots=True)
class Recordings:
    """What was found in one or several files, in their order."""

    operations: list[Recorded] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    damaged: int = 0
    """Lines that cannot be read and are left out."""
    limited: int = 0
    """Processes whose recording stopped because its file had become too large."""
    left_out: int = 0
    """Operations that came after that, of the processes that lived to tell."""


def read(paths: Sequence[Path], progress: Callable[[int], None] | None = None) -> Recordings:
    """Read recordings; `progress` is told every now and then how many bytes were read since it was told last.

    Raises NotARecordingError for a file that is none, cannot be read, or has a later schema.
    """
    recordings = Recordings()
    for path in paths:
        try:
            with path.open("rb") as file:
                _Reader(path, recordings).read(_told(file, progress))
        except OSError as error:
            raise NotARecordingError(f"{path}: {error.strerror}") from error
    return recordings


def _told(file: BufferedReader, progress: Callable[[int], None] | None) -> Iterator[bytes]:
    first = file.readline(_LONGEST_HEADER)
    untold = len(first)
    yield first
    for line in file:
        untold += len(line)
        if progress is not None and untold >= _STEP:
            progress(untold)
            untold = 0
        yield line
    if progress is not None:
        progress(untold)


class _Reader:
    """Reads one file. An operation belongs to the process whose header is the last one before it."""

    def __init__(self, path: Path, into: Recordings) -> None:
        self._path = path
        self._into = into

    def read(self, written: Iterator[bytes]) -> None:
        process = self._begin(next(written))
        for line in written:
            try:
                found = json.loads(line)
                match found["type"]:
                    case "operation":
                        self._into.operations.append(_operation(found, process))
                    case "header":
                        process = self._process(found)
                    case "limit" if "left_out" in found:
                        self._into.left_out += int(found["left_out"])
                    case "limit":
                        self._into.limited += 1
            except _DAMAGE:
                self._into.damaged += 1

    def _begin(self, line: bytes) -> Process:
        try:
            found = json.loads(line)
            if found["type"] == "header":
                return self._process(found)
        except _DAMAGE:
            pass
        raise NotARecordingError(f"{self._path} is no recording: it does not begin with a header")

    def _process(self, found: Mapping[str, Any]) -> Process:
        if found["schema"] != SCHEMA:
            raise NotARecordingError(
                f"{self._path} has schema {found['schema']}, and this version of otel-genai reads schema {SCHEMA}"
            )
        process = Process(
            host=found["host"],
            pid=found["pid"],
            command=tuple(found["command"]),
            versions=found["versions"],
            path=self._path,
        )
        self._into.processes.append(process)
        return process


def _operation(found: Mapping[str, Any], process: Process) -> Recorded:
    request, response = found["request"], found.get("response", {})
    _expect(str, request["operation"], request["provider"], request.get("model"), response.get("model"))
    _expect(str, *(found.get(name) for name in ("trace_id", "span_id", "parent_span_id")))
    _expect(str, *found.get("error", {}).values())
    _expect(int, *(found.get("usage", {}).get(name) for name in ("input", "output")))
    asked, chunks, tokens = found.get("asked_us", ()), found.get("chunks_us", ()), found.get("tokens", ())
    if len(asked) != len(chunks) or len(tokens) not in {0, len(chunks)}:
        raise ValueError
    first_token = found.get("first_token_us")
    return Recorded(
        process=process,
        trace_id=found.get("trace_id"),
        span_id=found.get("span_id"),
        parent_span_id=found.get("parent_span_id"),
        operation=request["operation"],
        provider=request["provider"],
        model=response.get("model") or request.get("model"),
        side=request.get("side", Side.CLIENT.value),
        stream=request.get("stream", False),
        request=request,
        response=response,
        usage=found.get("usage", {}),
        error=found.get("error"),
        unfinished=found.get("unfinished", False),
        began_ns=found["began_ns"],
        duration=found["duration_us"] / _MICROSECONDS,
        first_token=None if first_token is None else first_token / _MICROSECONDS,
        asked=_seconds(asked),
        chunks=_seconds(chunks),
        tokens=array("q", tokens),
        phases={name: time / _MICROSECONDS for name, time in found.get("phases_us", {}).items()},
    )


def _expect(kind: type, *values: object) -> None:
    if not all(value is None or isinstance(value, kind) for value in values):
        raise TypeError


def _seconds(times: Sequence[int]) -> Sequence[float]:
    # Arrays, because a recording may hold many millions of them.
    return array("d", [time / _MICROSECONDS for time in times])
