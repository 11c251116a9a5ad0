"""One cell of `instructions.py`: runs under `valgrind --tool=callgrind`, and has it count twice, the second time over three times the work.

So what is not the work's own, such as asking valgrind for it, drops out of the difference. The garbage collector is off, for what it
does in between depends on all that the process ever made.
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
    """Tell the valgrind around this process what to do."""
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
