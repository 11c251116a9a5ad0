"""One cell of `memory.py`: the growth of the process over a stream of 20,000 chunks, in bytes.

`resident` is the resident size of the process; `allocated` is Python's own count of the memory that is alive at the end of the stream.
"""

from __future__ import annotations

import argparse
import gc
import os
import tracemalloc
from pathlib import Path

from instrumentations import INSTRUMENTATIONS, switched_on
from workloads import endless_stream

BEFORE = 2_000
CHUNKS = 20_000


def resident() -> int:
    """The resident size of this process in bytes. Linux only."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def allocated() -> int:
    """The bytes that tracemalloc counts as allocated and not freed."""
    return tracemalloc.get_traced_memory()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["resident", "allocated"])
    parser.add_argument("instrumentation", choices=INSTRUMENTATIONS)
    chosen = parser.parse_args()
    switched_on(INSTRUMENTATIONS[chosen.instrumentation])
    if chosen.what == "allocated":
        tracemalloc.start()
    size = {"resident": resident, "allocated": allocated}[chosen.what]

    stream = endless_stream()
    for _ in range(BEFORE):
        next(stream)
    gc.collect()
    before = size()
    for _ in range(CHUNKS):
        next(stream)
    gc.collect()
    print(size() - before)


if __name__ == "__main__":
    main()
