"""Time and memory for a report of many streams in a fresh process, and the size of its page."""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def recording(path: Path, streams: int, chunks: int) -> None:
    """A recording of streams; sixteen begin each second."""
    chance = random.Random(0)
    with path.open("w") as file:
        anchor = {"wall_ns": 0, "monotonic_ns": 0, "host": "bench", "pid": 1, "command": [], "versions": {}}
        file.write(json.dumps({"type": "header", "schema": 1, **anchor}) + "\n")
        for number in range(streams):
            now, arrived = 80_000, []
            for _ in range(chunks):
                now += int(12_000 * chance.lognormvariate(0, 0.2))
                arrived.append(now)
            began = int(number / 16 * 1e9)
            line = {
                "type": "operation",
                "trace_id": f"{number + 1:032x}",
                "span_id": f"{number + 1:016x}",
                "began_ns": began,
                "started_ns": began,
                "duration_us": now,
                "first_token_us": arrived[0],
                "asked_us": [0, *arrived[:-1]],
                "chunks_us": arrived,
                "request": {"operation": "chat", "provider": "openai", "model": "model-1", "stream": True},
                "usage": {"input": 500, "output": chunks},
            }
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--chunks", type=int, default=500)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run, page = Path(folder, "run.jsonl"), Path(folder, "report.html")
        recording(run, chosen.streams, chosen.chunks)
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "otel_genai", "report", run, "-o", page], check=True, stdout=subprocess.DEVNULL
        )
        took = time.perf_counter() - began
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
        print(f"{chosen.streams:,} streams of {chosen.chunks:,} chunks, {run.stat().st_size / 1e6:.1f} MB")
        print(f"table and page in {took:.2f} s, {most:.0f} MB of memory; page of {page.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
