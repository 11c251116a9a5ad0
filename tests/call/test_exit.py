"""Calls and streams that are open when the interpreter exits or the process forks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

OPEN_AT_EXIT = """
import sys; sys.path.insert(0, {tests!r})
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + chr(10))))
from tests.support.patched_toy import PatchedToy
from tests.support.providers import Recorded
from tests.support.toy_library import Stream
recorded = Recorded()
recorded.tracer_provider = provider
toy = PatchedToy(recorded)
stream = toy.client.create(result=Stream(["a", "b"]), model="open-at-exit")
next(stream)
{end}
"""


@pytest.mark.parametrize("end", ["", "for chunk in stream: break", "del stream", "import os; sys.exit(3)"])
def test_a_stream_that_is_open_at_interpreter_exit_is_exported(end: str) -> None:
    script = OPEN_AT_EXIT.format(tests=str(Path(__file__).parents[2]), end=end)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("chat open-at-exit\n", "")


CALL_AT_EXIT = """
from otel_genai.telemetry.observers import observe
observe(lambda operation, _: print("unfinished" if operation.unfinished else "finished"))
call = toy.client.acreate(result="x", model="called-at-exit")
call.send(None)
"""


def test_a_call_that_never_returned_is_exported_at_exit_as_unfinished() -> None:
    script = OPEN_AT_EXIT.format(tests=str(Path(__file__).parents[2]), end="")
    script = script[: script.index("stream =")] + CALL_AT_EXIT
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("unfinished\nchat called-at-exit\n", "")


# Python 3.12 and later warn of forks in a process with threads, such as the span processor's.
IN_A_FORK = """
import os, sys, warnings
warnings.filterwarnings("ignore", "This process .* is multi-threaded, use of fork", DeprecationWarning)
sys.stdout.flush()
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_fork_does_not_report_the_open_calls_of_its_parent() -> None:
    script = OPEN_AT_EXIT.format(tests=str(Path(__file__).parents[2]), end=IN_A_FORK)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("chat open-at-exit\n", "")
