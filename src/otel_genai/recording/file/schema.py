"""The lines of a recording as typed structs of msgspec, which come with the extra `report`.

The structs validate the keys that figures are made from. Other keys pass as they are, or are skipped.
docs/recording.md describes every key.
"""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING, Any, Final

try:
    import msgspec
except ModuleNotFoundError as error:
    raise ImportError("recordings are read with the extra 'report': pip install 'otel-genai[report]'") from error

from otel_genai.operation import Side
from otel_genai.recording.file.records import Process, RecordedOperation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MICROSECONDS: Final = 1e6

DAMAGE: Final = (ValueError, KeyError, TypeError, OverflowError, RecursionError)
"""What a damaged line raises; msgspec's own errors are ValueErrors."""


class OperationLine(msgspec.Struct, tag_field="type", tag="operation", gc=False):
    """The line of an operation. Times are microseconds from its start."""

    request: dict[str, Any]
    began_ns: int
    duration_us: float
    response: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    error: dict[str, str] | None = None
    unfinished: bool = False
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    first_token_us: float | None = None
    # Floats, because dividing them is all that happens to them.
    asked_us: list[float] = []
    chunks_us: list[float] = []
    tokens: list[int] = []
    phases_us: dict[str, float] = {}


class _Request(msgspec.Struct, gc=False):
    operation: str
    provider: str
    model: str | None = None
    side: str = Side.CLIENT.value
    stream: bool = False


class _Response(msgspec.Struct, gc=False):
    model: str | None = None
    finish_reasons: list[str] = []


class _Usage(msgspec.Struct, gc=False):
    input: int | None = None
    output: int | None = None


class HeaderLine(msgspec.Struct, gc=False):
    """The first line of a process."""

    host: str
    pid: int
    command: tuple[str, ...]
    versions: dict[str, str]

    def process(self, path: Path) -> Process:
        """The process that recorded to this file."""
        return Process(host=self.host, pid=self.pid, command=self.command, versions=self.versions, path=path)


class LimitLine(msgspec.Struct, gc=False):
    """The line where a recording reached its size limit, or the count of the operations after that."""

    left_out: int | None = None


_OPERATION: Final = msgspec.json.Decoder(OperationLine)


def operation_line(line: bytes) -> OperationLine | None:
    """The line of an operation; `None` for any other line, for which `parsed` is the thorough way."""
    try:
        return _OPERATION.decode(line)
    except (msgspec.MsgspecError, *DAMAGE):
        return None


def parsed(line: bytes) -> OperationLine | LimitLine | dict[str, Any] | None:
    """A line of any kind: a header as it is, because its schema comes first; `None` for an unknown kind.

    Python's own parser reads what JSON proper forbids and Python's encoder writes: NaN and halves of surrogate pairs.
    Raises one of `DAMAGE` for a damaged line.
    """
    found = json.loads(line)
    match found["type"]:
        case "operation":
            return msgspec.convert(found, OperationLine)
        case "limit":
            return msgspec.convert(found, LimitLine)
        case "header":
            return dict(found)
    return None


def header_line(found: dict[str, Any]) -> HeaderLine:
    """The header among parsed lines. Raises one of `DAMAGE` if a key is missing or of another type."""
    return msgspec.convert(found, HeaderLine)


def recorded(line: OperationLine, process: Process) -> RecordedOperation:
    """The record of an operation. Raises one of `DAMAGE` if keys contradict each other."""
    request = msgspec.convert(line.request, _Request)
    response = msgspec.convert(line.response, _Response)
    msgspec.convert(line.usage, _Usage)
    if len(line.asked_us) != len(line.chunks_us) or len(line.tokens) not in {0, len(line.chunks_us)}:
        raise ValueError
    return RecordedOperation(
        process=process,
        trace_id=line.trace_id,
        span_id=line.span_id,
        parent_span_id=line.parent_span_id,
        operation=request.operation,
        provider=request.provider,
        model=response.model or request.model,
        side=request.side,
        stream=request.stream,
        request=line.request,
        response=line.response,
        usage=line.usage,
        error=line.error,
        unfinished=line.unfinished,
        began_ns=line.began_ns,
        duration=line.duration_us / _MICROSECONDS,
        first_token=None if line.first_token_us is None else line.first_token_us / _MICROSECONDS,
        asked=_seconds(line.asked_us),
        chunks=_seconds(line.chunks_us),
        tokens=array("q", line.tokens),
        phases={name: time / _MICROSECONDS for name, time in line.phases_us.items()},
    )


def _seconds(times: Sequence[float]) -> Sequence[float]:
    # Arrays, because a recording may hold many millions of them.
    return array("d", [time / _MICROSECONDS for time in times])
