"""Programs as a shell starts them: their exit status, stdout and stderr."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal

PYTHON = (sys.executable,)
SUMMARISED_RUN = (str(Path(sys.executable).with_name("otel-genai")), "run")
RUN = (*SUMMARISED_RUN, "--no-summary")
RUN_AS_MODULE = (sys.executable, "-m", "otel_genai", "run", "--no-summary")

CALL = """\
def call(n=0):
    import openai
    with openai.OpenAI(max_retries=0) as client:
        client.chat.completions.create(model="sim-small", messages=[{"role": "user", "content": "hello"}])
    return n
"""
"""Source of a function that makes one call, whose span is `chat sim-small`."""
OWN_TELEMETRY = """\
from opentelemetry import _logs, metrics, trace
metrics.get_meter("app").create_counter("own.counter").add(1)
_logs.get_logger("app").emit(_logs.LogRecord(body="own record"))
with trace.get_tracer("app").start_as_current_span("own span"):
    pass
"""
"""Source that records one measurement, one log record and one span."""

PATIENCE_S = 60.0
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("OTEL_", "OPENAI_", "TRACE", "PYTHONPATH"))
}


def outcome(launcher: tuple[str, ...], *arguments: str, cwd: Path, **variables: str) -> tuple[int, str, str]:
    """Run a program to its end and return its exit status, stdout and stderr."""
    done = subprocess.run(
        [*launcher, *arguments],
        cwd=cwd,
        env=ENVIRONMENT | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def signalled(
    launcher: tuple[str, ...], *arguments: str, number: signal.Signals, cwd: Path, **variables: str
) -> tuple[int, str, str]:
    """Send a signal to a program that has printed `ready`, and return the same without that line."""
    with subprocess.Popen(
        [*launcher, *arguments],
        cwd=cwd,
        env=ENVIRONMENT | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, err
