"""A recording as the page's script reads it: operations as JSON, and the times of chunks as whole numbers of one tick.

Gzip in base64, decoded by `assets/recording.js`:

    uint32      length of the JSON in bytes
    JSON        UTF-8, padded with spaces to a multiple of four bytes
    uint32[n]   ticks from the chunk before, or from the operation's start, to each chunk of all operations, one after the other
    uint32[n]   ticks from the consumer's request for a chunk to its arrival
    uint32[m]   output tokens of each chunk, for the operations that count them

All numbers are little-endian.
"""

from __future__ import annotations

import gzip
import json
import sys
from array import array
from base64 import b64encode
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from otel_genai.recording.analysis.statistics import per_output_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_genai.recording.file.records import Process, RecordedOperation, Recordings

_TICK: Final = 1e-6
"""Seconds: the resolution of recordings."""
_LARGEST: Final = 2**32 - 1


def payload(recordings: Recordings) -> str:
    """The text of the page's data element: letters, digits, `+`, `/` and `=` alone."""
    operations = sorted(recordings.operations, key=lambda operation: operation.began_ns)
    began_ns = operations[0].began_ns if operations else 0
    # A tick is a microsecond, or longer if an operation took more than an hour.
    tick = max(_TICK, max((operation.duration for operation in operations), default=0.0) / _LARGEST)
    places = {id(process): place for place, process in enumerate(recordings.processes)}
    gaps, waits, tokens = array("I"), array("I"), array("I")
    described = []
    for operation in operations:
        _add_chunks(operation, tick, gaps, waits)
        tokens.extend(_clamped(operation.tokens))
        described.append(_operation(operation, began_ns, places[id(operation.process)]))
    content = {
        "began_ms": began_ns / 1e6,
        "tick": tick,
        "processes": [_process(process) for process in recordings.processes],
        "operations": described,
    }
    return b64encode(gzip.compress(_packed(content, gaps, waits, tokens), compresslevel=6, mtime=0)).decode()


def _packed(content: dict[str, Any], *columns: array[int]) -> bytes:
    text = json.dumps(content, separators=(",", ":"), default=str).encode(errors="replace")
    text += b" " * (-len(text) % 4)
    for column in columns:
        if sys.byteorder == "big":
            column.byteswap()
    return len(text).to_bytes(4, "little") + text + b"".join(column.tobytes() for column in columns)


def _add_chunks(operation: RecordedOperation, tick: float, gaps: array[int], waits: array[int]) -> None:
    # Rounded before the subtraction, so that the page's sums of gaps are the arrivals.
    arrived = _ticks(operation.chunks, tick)
    gaps.extend(_clamped(later - earlier for earlier, later in pairwise([0, *arrived])))
    waits.extend(
        _clamped(later - earlier for earlier, later in zip(_ticks(operation.asked, tick), arrived, strict=True))
    )


def _clamped(numbers: Iterable[int]) -> Iterable[int]:
    """The numbers within the range of a column: a recording may hold times that cannot be."""
    return (min(max(number, 0), _LARGEST) for number in numbers)


def _ticks(times: Iterable[float], tick: float) -> list[int]:
    return [round(time / tick) for time in times]


def _operation(operation: RecordedOperation, began_ns: int, process: int) -> dict[str, Any]:
    """The known fields, by the names that `assets/recording.js` declares."""
    fields = {
        "operation": operation.operation,
        "provider": operation.provider,
        "model": operation.model,
        "process": process,
        "trace": operation.trace_id,
        "span": operation.span_id,
        "parent": operation.parent_span_id,
        "start": round((operation.began_ns - began_ns) / 1e9, 6),
        "duration": round(operation.duration, 6),
        "first_token": _rounded(operation.first_token),
        "per_output_token": _rounded(per_output_token(operation), 9),
        "stream": operation.stream or None,
        "unfinished": operation.unfinished or None,
        "chunks": len(operation.chunks) or None,
        "counted": bool(operation.tokens) or None,
        "usage": dict(operation.usage) or None,
        "phases": dict(operation.phases) or None,
        "error": dict(operation.error) if operation.error else None,
        "request": _texts(operation.request) or None,
        "response": _texts(operation.response) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


_SHOWN_ELSEWHERE: Final = frozenset({"operation", "provider", "model", "stream"})


def _texts(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in fields.items() if name not in _SHOWN_ELSEWHERE}


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _rounded(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else round(value, digits)


def _process(process: Process) -> dict[str, Any]:
    return {"host": process.host, "pid": process.pid, "file": process.path.name}
