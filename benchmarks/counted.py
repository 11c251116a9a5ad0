"""One cell of `instructions.py`: runs under `valgrind --tool=callgrind`, which counts twice, the second time over three times the work.

The difference excludes fixed costs, such as the control of valgrind. The garbage collector is off, because its work depends on
all objects of the process.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess

from instrumentations import INSTRUMENTATIONS, switched_on
from workloads import WORKLOADS, stream_of

WORK = {"call": WORKLOADS["call"].do, "chunk": stream_of}


def control(*command: str) -> None:
    """Send a command to the valgrind around this process."""
    subprocess.run(["callgrind_control", *command, str(os.getpid())], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=WORK)
    parser.add_argument("instrumentation", choices=INSTRUMENTATIONS)
    parser.add_argument("count", type=int)
    chosen = parser.parse_args()
    work = WORK[chosen.workload]
    kept = switched_on(INSTRUMENTATIONS[chosen.instrumentation])
    work(chosen.count)
    kept.flush()
    gc.collect()
    gc.disable()
    control("-i", "on")
    for count in (chosen.count, 3 * chosen.count):
        work(count)
        kept.flush()
        control("-d")


if __name__ == "__main__":
    main()
