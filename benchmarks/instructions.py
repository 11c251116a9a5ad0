"""The instructions of a call or a chunk, counted by valgrind: independent of the machine's other work.

All threads count; the hash seed is fixed and the garbage collector is off. `counted.py` runs under valgrind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COUNTS = {"call": 20, "chunk": 100}
INSTRUMENTATIONS = ("bare", "hand-written", "ours", "no-histogram", "not-sampled", "not-sampled, no-histogram")


def thousands(workload: str, instrumentation: str) -> float:
    """Thousands of instructions of one call, or one chunk."""
    count = COUNTS[workload]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                "valgrind",
                "--quiet",
                "--tool=callgrind",
                "--instr-atstart=no",
                f"--callgrind-out-file={folder}/counted",
                sys.executable,
                Path(__file__).with_name("counted.py"),
                workload,
                instrumentation,
                str(count),
            ],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            stderr=subprocess.DEVNULL,
            check=True,
        )
        once, thrice = (_total(Path(folder, f"counted.{part}")) for part in (1, 2))
    return (thrice - once) / (2 * count) / 1000


def _total(dump: Path) -> int:
    line = next(line for line in dump.read_text().splitlines() if line.startswith("totals: "))
    return int(line.split()[1])


def main() -> None:
    if not shutil.which("valgrind"):
        print("Instructions are not counted: valgrind is not installed.")
        return
    print("counting instructions …", file=sys.stderr)
    cells = [(workload, instrumentation) for workload in COUNTS for instrumentation in INSTRUMENTATIONS]
    # Side by side: a count does not mind what else the machine does.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counted = dict(zip(cells, pool.map(lambda cell: thousands(*cell), cells), strict=True))
    print("Thousands of instructions\n")
    print(f"{'':29}{'in all':>10}{'added':>10}{'x bare':>10}")
    for workload in COUNTS:
        print(workload)
        bare = counted[workload, "bare"]
        for instrumentation in INSTRUMENTATIONS:
            figure = counted[workload, instrumentation]
            print(f"  {instrumentation:27}{figure:10.1f}{figure - bare:10.1f}{figure / bare:10.2f}")
        print()


if __name__ == "__main__":
    main()
