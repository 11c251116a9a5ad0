"""What the package adds to the start of a program.

Three things: `instrument()` in a program that has imported the OpenTelemetry SDK; `instrument()` in one that has imported openai, beside a
hand-written instrumentation on the bare API; and `otel-genai run` beside a script that imports the SDK. Prints medians, with quartiles, of
CPU time over interleaved fresh processes. The package is compiled first, as installers do.
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
HAND_WRITTEN_GOAL = 1.5
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
TIMED = """
import time
started = time.process_time()
{work}
print((time.process_time() - started) * 1000)
"""
OURS = TIMED.format(work="import otel_genai; otel_genai.instrument()")
HAND_WRITTEN = TIMED.format(
    work="from opentelemetry import metrics, trace; import hand_written; "
    "hand_written.instrument(trace.get_tracer_provider(), metrics.get_meter_provider())"
)
COMPLETIONS = "from openai.resources.chat.completions import AsyncCompletions, Completions"
BESIDE_HAND_WRITTEN = {
    "hand-written": COMPLETIONS + HAND_WRITTEN,
    "ours": "import openai" + OURS,
    "ours, chat completions loaded": COMPLETIONS + OURS,
}
"""The second waits for the module of chat completions. The others wrap its method: its own import is not timed."""
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


def beside_hand_written() -> None:
    """`import otel_genai; instrument()` beside a hand-written instrumentation, without an SDK, openai imported before."""
    milliseconds: dict[str, list[float]] = {name: [] for name in BESIDE_HAND_WRITTEN}
    for _ in range(ROUNDS):
        for name, program in BESIDE_HAND_WRITTEN.items():
            done = subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            milliseconds[name].append(float(done.stdout))
    hand_written, ours, loaded = milliseconds.values()
    print("import otel_genai; otel_genai.instrument(), with openai imported:")
    for name, figures in milliseconds.items():
        print(f"  {name:30}{Spread.of(figures).show(1)} ms")
    ratio = Spread.of([one / other for one, other in zip(ours, hand_written, strict=True)])
    verdict = "met" if ratio.median <= HAND_WRITTEN_GOAL else "missed"
    print(f"  {'ours, to hand-written':30}{ratio.show(2)} x; ≤ {HAND_WRITTEN_GOAL} x: {verdict}")
    more = Spread.of([one / other for one, other in zip(loaded, hand_written, strict=True)])
    print(f"  {'with chat completions loaded':30}{more.show(2)} x\n")


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
    for folder in (Path(otel_genai.__file__).parent, Path(__file__).parent):
        compileall.compile_dir(folder, quiet=1)
    instrumenting()
    beside_hand_written()
    for title, source in SCRIPTS.items():
        running(title, source)


if __name__ == "__main__":
    main()
