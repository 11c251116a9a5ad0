"""What the instrumentation adds to the client's calls: CPU time of all threads, medians over interleaved fresh processes.

`cell.py` is what runs in each of them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 5
CELL = Path(__file__).parent / "cell.py"
WORKLOADS = ("call", "embeddings", "stream", "async stream", "100 streams")
VARIANTS = ("bare", "ours", "not sampled")


def microseconds(workload: str, variant: str) -> float:
    """One measurement: microseconds a call, or a chunk for streams."""
    done = subprocess.run([sys.executable, CELL, workload, variant], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    print("CPU time a call, or a chunk of a stream; in brackets the ratio to the bare client\n")
    print(f"{'':16}" + "".join(f"{variant:>26}" for variant in VARIANTS))
    for workload in WORKLOADS:
        figures: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for _ in range(ROUNDS):
            for variant in VARIANTS:
                figures[variant].append(microseconds(workload, variant))
        cells = []
        for variant in VARIANTS:
            # Ratios are taken round by round, so that a machine whose speed drifts does not matter.
            ratios = [figure / bare for figure, bare in zip(figures[variant], figures["bare"], strict=True)]
            cells.append(f"{statistics.median(figures[variant]):12.1f} µs  ({statistics.median(ratios):5.2f}x)")
        print(f"{workload:16}" + "".join(f"{cell:>26}" for cell in cells))


if __name__ == "__main__":
    main()
