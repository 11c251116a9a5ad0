"""Programs that make recorded calls, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from opentelemetry import trace

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "OTEL_GENAI_RECORD_FILE"
PATIENCE_S: Final = 60.0
NO_SPAN: Final = trace.INVALID_SPAN

CALLING: Final = """\
import os, signal, subprocess, sys
import openai
import otel_genai
otel_genai.instrument()
client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-secret", max_retries=0)
def call(**options):
    return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], **options)
"""
"""Begins a program: `call()` makes one call to the server whose address is its first argument."""


def outcome(script: str, *arguments: str | Path, cwd: Path | None = None, **variables: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a script that records to the last of its arguments."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {FILE: str(arguments[-1])} | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
