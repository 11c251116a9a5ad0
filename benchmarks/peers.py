"""The package beside other instrumentations of the same client: the same cells in one run. `make bench-peers` installs them.

Each has an environment of its own with the same client and SDK. Those in `OLDER_CLIENT` need an older client, and are compared with that
client without instrumentation.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

from harness import HERE, Cell, added, measure, ratio
from workloads import WORKLOADS

ROUNDS = 5
COLUMNS = ("content off", "content on", "not sampled")
OURS = {"content off": "ours", "content on": "content-on", "not sampled": "not-sampled"}
SYSTEMS = {
    "otel-genai": OURS,
    "otel-genai, no chunk histogram": {"content off": "no-histogram"},
    **{
        name: {"content off": name, "content on": f"{name}-content", "not sampled": f"{name}-not-sampled"}
        for name in ("upstream", "openinference", "openllmetry", "openlit")
    },
    "logfire": {"content on": "logfire-content", "not sampled": "logfire-not-sampled"},
}
"""Name → the instrumentation of each column."""
MEASURED = {
    "call": COLUMNS,
    "stream": COLUMNS,
    "async-stream": ("content off", "content on"),
    "embeddings": ("content off", "content on"),
}
OLDER_CLIENT = {"openlit"}


def python(system: str) -> str:
    """The Python of a system's environment."""
    if system.startswith("otel-genai"):
        return sys.executable
    found = Path(HERE.parent, f".venv-peers-{system}", "bin", "python")
    if not found.exists():
        sys.exit(f"{system} is not installed: run `make bench-peers`")
    return str(found)


def bare(workload: str, system: str) -> Cell:
    """The cell that a system is compared with."""
    return Cell("cell.py", (workload, "bare"), python(system if system in OLDER_CLIENT else "otel-genai"))


def cell(workload: str, system: str, column: str) -> Cell | None:
    """The cell of a system; `None` if the system has no such setup."""
    instrumentation = SYSTEMS[system].get(column)
    if instrumentation is None or column not in MEASURED[workload]:
        return None
    if instrumentation == "no-histogram" and WORKLOADS[workload].units == 1:
        return None
    return Cell("cell.py", (workload, instrumentation), python(system))


def emitted(system: str, workload: str) -> str:
    """The telemetry of a system for one operation, in a line."""
    instrumentation = next(iter(SYSTEMS[system].values()))
    done = subprocess.run(
        [python(system), HERE / "emitted.py", workload, instrumentation], stdout=subprocess.PIPE, text=True, check=True
    )
    emitted = json.loads(done.stdout.splitlines()[-1])
    metrics = [f"{name} ({points})" for name, points in emitted["metrics"].items()]
    return "; ".join(", ".join(kind) for kind in (emitted["spans"], emitted["events"], metrics) if kind)


def main() -> None:
    cells = {
        (workload, system, column): found
        for workload in MEASURED
        for system in SYSTEMS
        for column in COLUMNS
        if (found := cell(workload, system, column))
    }
    figures = measure({bare(workload, system) for workload, system, _ in cells} | set(cells.values()), ROUNDS)
    print("µs of CPU added, with quartiles, and how many times the bare client that is\n")
    print(f"{'':34}" + "".join(f"{column:32}" for column in COLUMNS).rstrip())
    for workload in MEASURED:
        median = statistics.median(figures[bare(workload, "otel-genai")])
        print(f"{WORKLOADS[workload].title} (bare: {median:.1f} µs)")
        for system in SYSTEMS:
            without = figures[bare(workload, system)]
            row = f"  {system:32}"
            for column in COLUMNS:
                shown = ""
                if (workload, system, column) in cells:
                    measured = figures[cells[workload, system, column]]
                    shown = f"{added(measured, without).show(1)}  {ratio(measured, without).median:.2f}x"
                row += f"{shown:32}"
            if row.split(system)[1].strip():
                print(row.rstrip())
        print()
    print("What each says of one operation: spans (attributes), events, metrics (points)\n")
    for workload in ("call", "stream", "embeddings"):
        print(WORKLOADS[workload].title)
        for system in SYSTEMS:
            if "histogram" not in system:
                print(f"  {system}: {emitted(system, workload)}")
        print()


if __name__ == "__main__":
    main()
