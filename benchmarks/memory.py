"""The memory of a stream of 20,000 chunks while it is read. `held.py` is one cell."""

from __future__ import annotations

import statistics

from harness import Cell, measure
from held import CHUNKS

ROUNDS = {"resident": 3, "allocated": 1}
"""What Python allocates is the same in every run."""
INSTRUMENTATIONS = ("bare", "ours", "content-on")
RESIDENT_GOAL = 2 * 2**20
CHUNK_GOAL = 16


def main() -> None:
    medians = {
        what: {
            cell.arguments[1]: statistics.median(figures)
            for cell, figures in measure([Cell("held.py", (what, name)) for name in INSTRUMENTATIONS], rounds).items()
        }
        for what, rounds in ROUNDS.items()
    }
    print(f"A stream of {CHUNKS} chunks: growth of the process, and memory alive at its end (medians)\n")
    print(f"{'':22}{'resident, KiB':>14}{'bytes a chunk':>15}   goal for both")
    for instrumentation in INSTRUMENTATIONS:
        resident, chunk = medians["resident"][instrumentation], medians["allocated"][instrumentation] / CHUNKS
        goal = ""
        if instrumentation == "ours":
            met = resident <= RESIDENT_GOAL and chunk <= CHUNK_GOAL
            goal = f"≤ {RESIDENT_GOAL // 1024} KiB and ≤ {CHUNK_GOAL}: {'met' if met else 'missed'}"
        print(f"  {instrumentation:20}{resident / 1024:14.0f}{chunk:15.1f}   {goal}".rstrip())
    print()


if __name__ == "__main__":
    main()
