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


SCRIPTS = {"a script that imports nothing": "pass\n", "a script that imports openai": "import openai\n"}


def main() -> None:
    for title, source in SCRIPTS.items():
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "script.py")
            script.write_text(source)
            with_sdk = Path(folder, "with_sdk.py")
            with_sdk.write_text(SDK + "\n" + source)
            cells = {
                "python": [sys.executable, str(script)],
                "python, importing the SDK": [sys.executable, str(with_sdk)],
                "otel-genai run": [sys.executable, "-m", "otel_genai", "run", "--no-summary", str(script)],
            }
            seconds: dict[str, list[float]] = {name: [] for name in cells}
            for _ in range(ROUNDS):
                for name, command in cells.items():
                    started = time.perf_counter()
                    subprocess.run(command, check=True)
                    seconds[name].append(time.perf_counter() - started)
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        print(f"{title}:")
        for name, median in medians.items():
            spread = f"min {min(seconds[name]) * 1000:.0f}, max {max(seconds[name]) * 1000:.0f}"
            print(f"  {name:28} {median * 1000:6.0f} ms  ({spread})")
        _, sdk, run = medians.values()
        print(f"  beside the SDK, the runner adds {(run - sdk) * 1000:.0f} ms\n")


if __name__ == "__main__":
    main()
