"""Recordings as files: a strict reader of their lines, and operations to write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otel_genai.operation import Operation, Request, Response, Timing, Usage
from tests.support.recording import json_lines as recording_lines

if TYPE_CHECKING:
    from pathlib import Path

HEADER = recording_lines.header(pid=7)
STREAM = recording_lines.stream(
    [150_000, 250_000, 400_000],
    output=3,
    parent_span_id="000000000000000a",
    request={"stream": True, "temperature": 0.5},
    response={"id": "chatcmpl-1", "model": "model-1-0806", "finish_reasons": ["stop"]},
)


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a recording, every one of them whole."""
    text = path.read_bytes().decode()
    assert text.endswith("\n")
    return [json.loads(line) for line in text[:-1].split("\n")]


def operations(path: Path) -> list[dict[str, Any]]:
    """The operations of a recording."""
    return [line for line in lines(path) if line["type"] == "operation"]


def saved(path: Path, *content: Any) -> Path:
    """A file of these lines; bytes are written unchanged."""
    path.write_bytes(
        b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in content)
    )
    return path


def operation(model: str = "gpt-4o", chunks: int = 0) -> Operation:
    """A finished operation of one second, streamed if it has chunks."""
    times = [100.0 + number / (chunks + 1) for number in range(1, chunks + 1)]
    return Operation(
        request=Request(operation="chat", provider="openai", model=model, stream=bool(chunks)),
        response=Response(model=model, usage=Usage(input=9, output=3)),
        timing=Timing(
            began_ns=1_700_000_000_000_000_000, started=100.0, ended=101.0, chunks=times, waits=[0.0] * chunks
        ),
    )
