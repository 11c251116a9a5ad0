"""The lines of a recording, as JSON, for a process and for an operation. docs/recording.md describes them.

An operation's times are whole microseconds from its start: a third of the work and of the size of floats.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from otel_genai.operation import Request, Response, Side, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from otel_genai.operation import Failure, Operation, Timing

SCHEMA: Final = 1

_MICROSECONDS: Final = 1e6
_NANOSECONDS: Final = 1e9

_KEYS: Final = {"extra": "facts"}
"""Field → key, where the two have different names."""


def _rows(record: Any, *others: str) -> tuple[tuple[str, str, object], ...]:
    fields = (name for name in record._fields if name not in others)
    return tuple((name, _KEYS.get(name, name), record._field_defaults.get(name)) for name in fields)


_REQUEST: Final = _rows(Request, "side")
_RESPONSE: Final = _rows(Response, "usage", "messages")
_USAGE: Final = _rows(Usage)
"""(field, key, default). A field with its default value is left out."""

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


def header(
    *, wall_ns: int, monotonic_ns: int, host: str, pid: int, command: Sequence[str], versions: Mapping[str, str]
) -> bytes:
    """The first line of a process. `wall_ns` and `monotonic_ns` are the same moment on its two clocks."""
    return _line(
        {
            "type": "header",
            "schema": SCHEMA,
            "wall_ns": wall_ns,
            "monotonic_ns": monotonic_ns,
            "host": host,
            "pid": pid,
            "command": command,
            "versions": versions,
        }
    )


def operation(operation: Operation, span: Any) -> bytes:
    """The line of a finished operation. `span` is OpenTelemetry's, of any implementation."""
    timing, response, failure = operation.timing, operation.response, operation.failure
    line: dict[str, Any] = {
        "type": "operation",
        **_ids(span),
        "began_ns": timing.began_ns,
        "started_ns": round(timing.started * _NANOSECONDS),
        "duration_us": round(timing.duration * _MICROSECONDS),
        "request": _request(operation.request),
    }
    if operation.unfinished:
        line["unfinished"] = True
    if fields := _fields(response, _RESPONSE):
        line["response"] = fields
    if response.usage is not None and (counts := _fields(response.usage, _USAGE)):
        line["usage"] = counts
    if failure is not None:
        line["error"] = _error(failure)
    line |= _times(timing)
    if operation.prompt is not None or response.messages:
        # Imported here, because a recording without content needs no telemetry.
        from otel_genai.telemetry import render

        line["content"] = render.content(operation)
    return _line(line)


def limit(limit_bytes: int) -> bytes:
    """The line where the recording stops, because the file would grow beyond its limit."""
    return _line({"type": "limit", "limit_bytes": limit_bytes})


def left_out(operations: int) -> bytes:
    """The line that counts the operations after the limit."""
    return _line({"type": "limit", "left_out": operations})


def _ids(span: Any) -> dict[str, str]:
    context = span.get_span_context()
    if not context.is_valid:
        return {}  # no SDK is set up
    ids = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    parent = getattr(span, "parent", None)
    if parent is not None:
        ids["parent_span_id"] = f"{parent.span_id:016x}"
    return ids


def _request(request: Request) -> dict[str, Any]:
    fields = _fields(request, _REQUEST)
    if request.side is not Side.CLIENT:
        fields["side"] = request.side.value
    return fields


def _fields(record: Any, rows: Iterable[tuple[str, str, object]]) -> dict[str, Any]:
    found = {}
    for name, key, default in rows:
        value = getattr(record, name)
        if value != default:
            found[key] = value
    return found


def _error(failure: Failure) -> dict[str, str]:
    error = {"type": failure.type, "summary": failure.summary}
    if failure.message is not None:
        error["message"] = failure.message
    return error


def _times(timing: Timing) -> dict[str, Any]:
    times: dict[str, Any] = {}
    if timing.phases:
        phases: dict[str, float] = {}
        for phase in timing.phases:  # the same phase may occur several times
            phases[phase.name] = phases.get(phase.name, 0.0) + phase.ended - phase.started
        times["phases_us"] = {name: round(time * _MICROSECONDS) for name, time in phases.items()}
    if timing.time_to_first_token is not None:
        times["first_token_us"] = round(timing.time_to_first_token * _MICROSECONDS)
    if timing.chunks:
        start = timing.started
        times["asked_us"] = [round((moment - start) * _MICROSECONDS) for moment in timing.asked]
        times["chunks_us"] = [round((moment - start) * _MICROSECONDS) for moment in timing.chunks]
    if timing.tokens:
        times["tokens"] = list(timing.tokens)
    return times


def _line(content: Mapping[str, Any]) -> bytes:
    # Half of a surrogate pair cannot be encoded; the rest of the line is written.
    return _encode(content).encode(errors="replace") + b"\n"
