"""Programs started from a shell's point of view: what they answer, and how they end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal

PYTHON = (sys.executable,)
RUN = (str(Path(sys.executable).with_name("otel-genai")), "run", "--no-summary")
RUN_AS_MODULE = (sys.executable, "-m", "otel_genai", "run", "--no-summary")
SUMMARISED_RUN = RUN[:2]

PATIENCE_S = 60.0
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("OTEL_", "OPENAI_", "TRACE", "PYTHONPATH"))
}


def outcome(launcher: tuple[str, ...], *arguments: str, cwd: Path, **variables: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
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
    """The same, of a program that gets a signal once it has said `ready`."""
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
