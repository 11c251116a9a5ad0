"""The simulator as a process of its own, without the other commands."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import argparse, sys
from otel_genai.simulator.command import add_arguments, simulate
parser = argparse.ArgumentParser(prog="otel-genai simulate")
add_arguments(parser)
sys.exit(simulate(parser.parse_args()))
"""


def start_simulator(*arguments: str, program: str = PROGRAM) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Without a terminal, as under a service manager: so signals have to be forwarded.
        start_new_session=True,
    )


def run_simulator(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    with start_simulator(*arguments) as process:
        output, errors = process.communicate(timeout=30)
    return process.returncode, output, errors
