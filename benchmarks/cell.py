"""One cell: one workload under one instrumentation, in a process of its own. Prints CPU microseconds per call or chunk.

It includes all threads, and the export of everything that was recorded. The garbage collector runs as in any program.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time

from instrumentations import INSTRUMENTATIONS, switched_on
from peer_setups import PEERS
from workloads import WORKLOADS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("instrumentation", choices=INSTRUMENTATIONS | PEERS)
    chosen = parser.parse_args()
    workload = WORKLOADS[chosen.workload]
    instrumentation = (INSTRUMENTATIONS | PEERS)[chosen.instrumentation]
    kept = switched_on(instrumentation)

    workload.do(max(workload.count // 5, 1))
    kept.flush()
    gc.collect()
    started = time.process_time()
    workload.do(workload.count)
    kept.flush()
    spent = time.process_time() - started
    if instrumentation.sampled and len(kept.spans.get_finished_spans()) < workload.count:
        sys.exit(f"{chosen.instrumentation} recorded too few spans of {chosen.workload}")
    print(spent / (workload.count * workload.units) * 1e6)


if __name__ == "__main__":
    main()
