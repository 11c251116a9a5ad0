"""Lines of recordings for the tests of reports, and the recording of a load test with all that a report can show."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

BEGAN_NS = 1_760_000_000_000_000_000
"""2025-10-09 08:53:20 UTC."""

ERROR = {"type": "openai.RateLimitError", "summary": "RateLimitError 429 rate_limit_exceeded"}

Line = dict[str, Any]


def header(**changes: Any) -> Line:
    """A recording's first line."""
    return {
        "type": "header",
        "schema": 1,
        "wall_ns": BEGAN_NS,
        "monotonic_ns": 0,
        "host": "node-1",
        "pid": 4242,
        "command": ["python", "app.py"],
        "versions": {"python": "3.11.9", "otel-genai": "0.1"},
    } | changes


def operation(
    *,
    name: str = "chat",
    model: str | None = "model-1",
    began_us: int = 0,
    duration_us: int = 1_000_000,
    request: Line | None = None,
    **changes: Any,
) -> Line:
    """An operation's line; it begins `began_us` after the recording. A value changed to `None` is left out."""
    fields = {"operation": name, "provider": "openai", "model": model}
    line = {
        "type": "operation",
        "trace_id": f"{began_us + 1:032x}",
        "span_id": f"{began_us + 1:016x}",
        "began_ns": BEGAN_NS + began_us * 1000,
        "started_ns": began_us * 1000,
        "duration_us": duration_us,
        "request": _without_unknown(fields | (request or {})),
    }
    return _without_unknown(line | changes)


def stream(chunks_us: list[int], *, output: int | None = None, **changes: Any) -> Line:
    """A streamed operation's line. Each chunk is asked for at the arrival of the one before; the second has the first token."""
    line: Line = {
        "duration_us": chunks_us[-1],
        "asked_us": [0, *chunks_us[:-1]],
        "chunks_us": chunks_us,
        "first_token_us": chunks_us[1] if len(chunks_us) > 1 else None,
        "usage": None if output is None else {"input": 100, "output": output},
        "request": {"stream": True},
    }
    return operation(**line | changes)


def _without_unknown(line: Line) -> Line:
    return {name: value for name, value in line.items() if value is not None}


def write(path: Path, *lines: Line | str) -> Path:
    """A recording of these lines; text is written unchanged."""
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    return path


def load_test(path: Path, *, streams: int, tokens: int, rate: float = 16.0) -> Path:
    """A server under load: a stall of all streams, later a busy machine with a queue, and a few errors."""
    chance = random.Random(0)
    lasting = streams / rate * 1e6
    stall = (0.38 * lasting, 0.38 * lasting + 1.6e6)
    busy = (0.6 * lasting, 0.75 * lasting)
    lines = [header()]
    for number in range(streams):
        began = int(number / rate * 1e6 + chance.uniform(0, 5e5))
        model = "large" if number % 3 else "small"
        if number % 97 == 50:
            lines.append(operation(began_us=began, duration_us=chance.randrange(20_000), model=model, error=ERROR))
            continue
        prompt = int(chance.lognormvariate(6, 0.8))
        now = began + 30_000 + 90 * prompt + chance.expovariate(1 / 15_000)
        if busy[0] < began < busy[1]:
            now += chance.uniform(0.5e6, 2.5e6)
        arrivals = []
        for _ in range(tokens):
            pace = 26_000 if busy[0] < now < busy[1] else 12_000
            now += pace * chance.lognormvariate(0, 0.18) + (chance.random() < 0.004) * 40_000
            if stall[0] < now < stall[1]:
                now = stall[1] + chance.uniform(0, 4000)
            arrivals.append(int(now - began))
        lines.append(stream(arrivals, began_us=began, model=model, usage={"input": prompt, "output": tokens - 2}))
    return write(path, *lines)
