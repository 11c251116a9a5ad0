"""A child that is signalled or killed ends as under plain `python`, and its telemetry is sent first."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.otlp.names import span_names
from tests.support.processes import CALL, ENVIRONMENT, PATIENCE_S, RUN, outcome, signalled

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.otlp.receiver import Received

KILLED = (
    CALL
    + """
import multiprocessing, os, signal, sys, time
def worker(pipe):
    call()
    pipe.send("called")
    while True: time.sleep(0.01)
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    ours, theirs = context.Pipe()
    process = context.Process(target=worker, args=(theirs,), daemon=True)
    process.start()
    ours.recv()
    if sys.argv[2] == "KILL": input()
    os.kill(process.pid, getattr(signal, "SIG" + sys.argv[2]))
    process.join(20)
    print(process.exitcode)
"""
)


@pytest.mark.parametrize("start", ["spawn", "forkserver", "fork"])
def test_a_terminated_worker_loses_no_span(
    start: str, received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(KILLED)
    assert outcome(RUN, "app.py", start, "TERM", cwd=tmp_path, **variables) == (0, "-15\n", "")
    assert span_names(received) == ["chat sim-small"]


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_a_worker_that_hangs_in_native_code_is_terminated_and_loses_no_span(
    start: str, received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    # Locking this twice waits for ever, and no signal ends the wait.
    stuck = "import ctypes; lock, c = ctypes.create_string_buffer(64), ctypes.CDLL(None)\n    while True: c.pthread_mutex_lock(lock)"
    (tmp_path / "app.py").write_text(KILLED.replace("while True: time.sleep(0.01)", stuck))
    assert outcome(RUN, "app.py", start, "TERM", cwd=tmp_path, **variables) == (0, "-15\n", "")
    assert span_names(received) == ["chat sim-small"]


def test_a_terminated_worker_that_has_forked_loses_no_span(
    received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    forking = "call()\n    if os.fork() == 0: os._exit(0)\n    os.wait()\n    call()\n    pipe.send"
    (tmp_path / "app.py").write_text(KILLED.replace("call()\n    pipe.send", forking))
    assert outcome(RUN, "app.py", "spawn", "TERM", cwd=tmp_path, **variables) == (0, "-15\n", "")
    assert span_names(received) == 2 * ["chat sim-small"]


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_a_killed_worker_loses_no_more_than_the_last_half_second(
    start: str, received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(KILLED)
    with subprocess.Popen(
        [*RUN, "app.py", start, "KILL"],
        cwd=tmp_path,
        env=ENVIRONMENT | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        # It is killed after its span is exported. With the SDK's default delay of five seconds, this wait would be in vain.
        assert received.wait_for_spans(1, patience=4)
        out, _ = process.communicate("\n", timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, "-9\n")
    assert span_names(received) == ["chat sim-small"]


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_an_unreachable_collector_delays_no_worker(start: str, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        KILLED.replace(
            "process.join(20)", "since = time.monotonic(); process.join(20); print(time.monotonic() - since < 5)"
        )
    )
    variables |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_METRICS_EXPORTER": "none"}
    status, out, _ = outcome(RUN, "app.py", start, "TERM", cwd=tmp_path, **variables)
    assert (status, out) == (0, "True\n-15\n")


def test_terminating_a_fork_of_a_worker_leaves_the_worker_alone(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        CALL
        + """
import multiprocessing, os, signal, time
def worker():
    call()
    pid = os.fork()
    if pid == 0:
        while True: time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=worker)
    process.start()
    process.join()
    print(process.exitcode)
"""
    )
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables) == (0, "-15\n0\n", "")


def test_a_sigterm_handler_of_a_worker_runs(received: Received, variables: dict[str, str], tmp_path: Path) -> None:
    handling = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n    call()\n    pipe.send"
    (tmp_path / "app.py").write_text(KILLED.replace("call()\n    pipe.send", handling))
    assert outcome(RUN, "app.py", "spawn", "TERM", cwd=tmp_path, **variables) == (0, "5\n", "")
    assert span_names(received) == ["chat sim-small"]


def test_a_worker_that_restores_the_default_and_signals_itself_loses_no_span(
    received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    restoring = (
        "signal.signal(signal.SIGTERM, lambda *_: None)\n    call()\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_DFL)\n    signal.raise_signal(signal.SIGTERM)\n    pipe.send"
    )
    source = KILLED.replace("call()\n    pipe.send", restoring).replace("ours.recv()", "pass")
    (tmp_path / "app.py").write_text(
        source.replace('os.kill(process.pid, getattr(signal, "SIG" + sys.argv[2]))', "pass")
    )
    assert outcome(RUN, "app.py", "spawn", "TERM", cwd=tmp_path, **variables) == (0, "-15\n", "")
    assert span_names(received) == ["chat sim-small"]


def test_os_exit_in_a_fork_keeps_its_status(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        CALL
        + "import os\ncall()\nif os.fork() == 0:\n    call()\n    os._exit(3)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables) == (0, "3\n", "")


def test_terminating_a_run_ends_its_workers_and_loses_no_span(
    received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(
        CALL
        + """
import multiprocessing, signal, sys, time
def worker(pipe):
    call()
    pipe.send("called")
    while True: time.sleep(0.01)
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=worker, args=(theirs,), daemon=True)
    process.start()
    def leave(*_):
        process.terminate()
        process.join()
        sys.exit(4)
    signal.signal(signal.SIGTERM, leave)
    ours.recv()
    call()
    print("ready", flush=True)
    while True: time.sleep(0.01)
"""
    )
    assert signalled(RUN, "app.py", number=signal.SIGTERM, cwd=tmp_path, **variables) == (4, "", "")
    assert span_names(received) == 2 * ["chat sim-small"]
