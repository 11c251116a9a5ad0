"""What `otel-genai run` adds to the start of a script, beside importing the OpenTelemetry SDK alone.

Prints medians over interleaved fresh processes. The budget is: the SDK and the exporter in use, plus 50 ms.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 15
SDK = (
    "import opentelemetry.sdk._configuration, opentelemetry.sdk.trace.export, "
    "opentelemetry.sdk.metrics.export, opentelemetry.sdk._logs.export"
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.py")
        script.write_text("pass\n")
        cells = {
            "python script.py": [sys.executable, str(script)],
            "python -c 'import <the SDK>'": [sys.executable, "-c", SDK],
            "otel-genai run script.py": [sys.executable, "-m", "otel_genai", "run", "--no-summary", str(script)],
        }
        seconds: dict[str, list[float]] = {name: [] for name in cells}
        for _ in range(ROUNDS):
            for name, command in cells.items():
                started = time.perf_counter()
                subprocess.run(command, check=True)
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:32} {median * 1000:7.1f} ms  (min {min(seconds[name]) * 1000:.1f}, max {max(seconds[name]) * 1000:.1f})")
    bare, sdk, run = medians.values()
    print(f"\nThe runner adds {(run - sdk) * 1000:.1f} ms to importing the SDK, which itself takes {(sdk - bare) * 1000:.1f} ms.")


if __name__ == "__main__":
    main()
