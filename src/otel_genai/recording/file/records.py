"""What a recording holds, as records that readers get: processes, and operations with their times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The process that recorded an operation."""

    host: str
    pid: int
    command: tuple[str, ...]
    """Its command line, without secrets."""
    versions: Mapping[str, str]
    """Versions of Python, this package and the installed libraries, by name."""
    path: Path
    """The recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedOperation:
    """One operation of a recording.

    Times are seconds from its start. A field is `None` or empty if its value is unknown. Content is left out.
    """

    process: Process
    trace_id: str | None
    """32 hexadecimal digits."""
    span_id: str | None
    """16 hexadecimal digits, as the parent's."""
    parent_span_id: str | None
    operation: str
    provider: str
    model: str | None
    """The model that answered, or else the requested one."""
    side: str
    """client, internal or server."""
    stream: bool
    request: Mapping[str, Any]
    """All keys of the line's `request`."""
    response: Mapping[str, Any]
    """All keys of the line's `response`."""
    usage: Mapping[str, Any]
    """Token counts by kind; counts by modality are mappings of their own."""
    error: Mapping[str, str] | None
    """`type`, `summary` and, if content was captured, `message`."""
    unfinished: bool
    """Whether the process ended first."""
    began_ns: int
    """Wall clock at the start, nanoseconds since the epoch."""
    duration: float
    first_token: float | None
    asked: Sequence[float]
    """For every chunk, when the application asked for it."""
    chunks: Sequence[float]
    """For every chunk, when it arrived; as long as `asked`."""
    tokens: Sequence[int]
    """For every chunk, its output tokens; as long as `chunks`, or empty."""
    phases: Mapping[str, float]
    """How long each of the server's phases took, by name."""


@dataclass(slots=True)
class Recordings:
    """The content of one or several files, in their order."""

    operations: list[RecordedOperation] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    damaged: int = 0
    """Lines that cannot be read; they are left out."""
    limited: int = 0
    """Processes whose recording reached its size limit."""
    left_out: int = 0
    """Operations after the limit, as far as their processes lived to count them."""
