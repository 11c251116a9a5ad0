"""What the package adds to the start of a program, beside what it needs itself.

Two things: `instrument()` in a program that has the OpenTelemetry SDK already, and `otel-genai run` beside a script that imports the
SDK. Prints medians, with quartiles, of CPU time over interleaved fresh processes. The package is compiled first, as installers do.
"""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Spread

import otel_genai

ROUNDS = 15
INSTRUMENT_GOAL_MS = 20
RUN_GOAL_MS = 50
SDK = (
    "import opentelemetry.sdk._configuration, opentelemetry.sdk.trace.export, "
    "opentelemetry.sdk.metrics.export, opentelemetry.sdk._logs.export"
)
INSTRUMENTING = f"""
import sys, time
{SDK}
started = time.process_time()
import otel_genai
otel_genai.instrument()
print((time.process_time() - started) * 1000)
print(*{{"openai", "transformers", "torch", "vllm"}} & sys.modules.keys())
"""
SCRIPTS = {"a script that imports nothing": "pass\n", "a script that imports openai": "import openai\n"}


def instrumenting() -> None:
    """`import otel_genai; instrument()` where the SDK is loaded."""
    milliseconds, imported = [], set()
    for _ in range(ROUNDS):
        done = subprocess.run([sys.executable, "-c", INSTRUMENTING], stdout=subprocess.PIPE, text=True, check=True)
        figure, *libraries = done.stdout.split()
        milliseconds.append(float(figure))
        imported |= set(libraries)
    spread = Spread.of(milliseconds)
    met = spread.median <= INSTRUMENT_GOAL_MS and not imported
    print("import otel_genai; otel_genai.instrument(), with the SDK loaded:")
    print(f"  {spread.show(1)} ms; GenAI libraries imported: {', '.join(imported) or 'none'}")
    print(f"  ≤ {INSTRUMENT_GOAL_MS} ms and none: {'met' if met else 'missed'}\n")


def cpu_milliseconds(command: list[str]) -> float:
    """CPU time of a process that is started and waited for."""
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return (used.ru_utime + used.ru_stime) * 1000


def running(title: str, source: str) -> None:
    """`otel-genai run`, beside Python with and without the SDK."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.py")
        script.write_text(source)
        with_sdk = Path(folder, "with_sdk.py")
        with_sdk.write_text(SDK + "\n" + source)
        commands = {
            "python": [sys.executable, str(script)],
            "python, importing the SDK": [sys.executable, str(with_sdk)],
            "otel-genai run": [sys.executable, "-m", "otel_genai", "run", "--no-summary", str(script)],
        }
        milliseconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                milliseconds[name].append(cpu_milliseconds(command))
    print(f"{title}:")
    for name, figures in milliseconds.items():
        print(f"  {name:28}{Spread.of(figures).show(0)} ms")
    _, sdk, run = milliseconds.values()
    more = Spread.of([one - other for one, other in zip(run, sdk, strict=True)])
    verdict = "met" if more.median <= RUN_GOAL_MS else "missed"
    print(f"  the runner, beside the SDK  {more.show(0)} ms; ≤ {RUN_GOAL_MS} ms: {verdict}\n")


def main() -> None:
    print("measuring start-up …", file=sys.stderr)
    # Where PYTHONDONTWRITEBYTECODE is set, every process would compile it anew, beside a compiled SDK.
    compileall.compile_dir(Path(otel_genai.__file__).parent, quiet=1)
    instrumenting()
    for title, source in SCRIPTS.items():
        running(title, source)


if __name__ == "__main__":
    main()
