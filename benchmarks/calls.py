"""The cost of this package for the client's calls, beside a hand-written wrapper. `cell.py` is one cell, `harness.py` runs them.

python benchmarks/calls.py                        all cells, about three minutes
python benchmarks/calls.py --quick call stream    some cells in few rounds, while you change something
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import Cell, added, measure, ratio
from workloads import WORKLOADS

if TYPE_CHECKING:
    from harness import Spread

ROUNDS = 7
QUICK_ROUNDS = 5
INSTRUMENTATIONS = {
    "call": ("hand-written", "ours", "hand-written, not-sampled", "not-sampled", "content-on"),
    "stream": ("hand-written", "ours", "no-histogram", "not-sampled", "not-sampled, no-histogram", "content-on"),
    "async-stream": ("ours", "no-histogram", "not-sampled"),
    "100-streams": ("ours", "not-sampled"),
    "embeddings": ("ours", "not-sampled"),
}


@dataclass(frozen=True)
class Goal:
    """A goal: a ratio to the bare client, or microseconds added to it."""

    ratio: float | None = None
    added: float | None = None

    def verdict(self, ratio: Spread, added: Spread) -> str:
        """`≤ 1.18x: met`."""
        if self.ratio is not None:
            return f"≤ {self.ratio:.2f}x: {'met' if ratio.median <= self.ratio else 'missed'}"
        if self.added is not None:
            return f"≤ {self.added:g} µs: {'met' if added.median <= self.added else 'missed'}"
        return ""


GOALS = {
    ("call", "ours"): Goal(ratio=1.18),
    ("call", "not-sampled"): Goal(ratio=1.10),
    **{(workload, "ours"): Goal(added=12) for workload in ("stream", "async-stream")},
    **{(workload, "no-histogram"): Goal(added=4) for workload in ("stream", "async-stream")},
    **{(workload, "not-sampled"): Goal(added=2) for workload in ("stream", "async-stream")},
    ("stream", "not-sampled, no-histogram"): Goal(added=2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="workload", help=", ".join(WORKLOADS))
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds instead of {ROUNDS}")
    chosen = parser.parse_args()
    if unknown := set(chosen.workloads) - WORKLOADS.keys():
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    workloads = chosen.workloads or list(WORKLOADS)
    cells = {
        (workload, instrumentation): Cell("cell.py", (workload, instrumentation))
        for workload in workloads
        for instrumentation in ("bare", *INSTRUMENTATIONS[workload])
    }
    figures = measure(cells.values(), QUICK_ROUNDS if chosen.quick else ROUNDS)

    print(
        "CPU time of all threads; medians, with quartiles, of ratios and differences that were taken round by round.\n"
    )
    print(f"{'':29}{'x bare':<22}{'µs added':<24}goal")
    for workload in workloads:
        bare = figures[cells[workload, "bare"]]
        print(f"{WORKLOADS[workload].title} (bare: {sorted(bare)[len(bare) // 2]:.1f} µs)")
        for instrumentation in INSTRUMENTATIONS[workload]:
            measured = figures[cells[workload, instrumentation]]
            times, more = ratio(measured, bare), added(measured, bare)
            goal = GOALS.get((workload, instrumentation), Goal()).verdict(times, more)
            print(f"  {instrumentation:27}{times.show(2):<22}{more.show(1):<24}{goal}".rstrip())
        print()


if __name__ == "__main__":
    main()
