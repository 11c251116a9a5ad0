"""The parts of a call's cost: cells that differ by one part each, so a difference is the cost of that part.

No profiler runs: it would cost more than the parts. Differences of times are medians over rounds; counted instructions hardly vary.
"""

from __future__ import annotations

import shutil
import sys
from itertools import pairwise

from harness import Cell, added, measure
from instructions import thousands

ROUNDS = 9
STEPS = {
    "bare": "",
    "no-sdk": "reading the call, following it, making contexts and records",
    "sdk-metrics": "the SDK's histograms",
    "unheeded-spans": "putting the span's attributes together",
    "sdk-spans": "the SDK's span: made, filled, ended, exported",
    "ours": "trace context in the request",
}
"""Instrumentation → the part that the one before lacks."""
COUNTED_AS = {"call": "call", "stream": "chunk"}


def main() -> None:
    cells = {(workload, step): Cell("cell.py", (workload, step)) for workload in COUNTED_AS for step in STEPS}
    figures = measure(cells.values(), ROUNDS)
    counting = shutil.which("valgrind") is not None
    if counting:
        print("counting instructions …", file=sys.stderr)
    for workload, counted_as in COUNTED_AS.items():
        counts = {step: thousands(counted_as, step) if counting else float("nan") for step in STEPS}
        print(f"{f'one {counted_as}':62}{'µs':>24}{'1000 instructions':>20}")
        steps = [*pairwise(STEPS), ("bare", "ours")]
        for before, step in steps:
            more = added(figures[cells[workload, step]], figures[cells[workload, before]])
            title = "in all" if before == "bare" and step == "ours" else STEPS[step]
            print(f"  {title:60}{more.show(1):>24}{counts[step] - counts[before]:20.1f}")
        print()


if __name__ == "__main__":
    main()
