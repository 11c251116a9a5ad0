"""`otel-genai simulate` as a process: its arguments, its one line of output, its signals and its exit statuses."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys

import pytest

from otel_genai.simulator.command import add_arguments
from tests.support.simulator.process import PROGRAM, run_simulator, start_simulator


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="otel-genai simulate")
    add_arguments(parser)
    return parser.parse_args(arguments)


def test_the_defaults() -> None:
    assert vars(parsed()) == {
        "host": "127.0.0.1",
        "port": 8000,
        "models": None,
        "profile": None,
        "ttft": 0.08,
        "itl": 0.012,
        "error_rate": 0.0,
        "startup": None,
        "faults": [],
        "seed": 0,
        "command": [],
    }


def test_options_after_the_separator_belong_to_the_command() -> None:
    own = ("--model", "a", "--model", "b", "--ttft", "1.5s", "--itl", "0", "--error-rate", "0.5")
    arguments = parsed(*own, "--", "ls", "--port", "1")
    assert (arguments.models, arguments.ttft, arguments.itl, arguments.error_rate) == (["a", "b"], 1.5, 0.0, 0.5)
    assert arguments.port == 8000
    assert arguments.command[-3:] == ["ls", "--port", "1"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--ttft", "80"), "argument --ttft: '80' is not a duration such as 80ms, 1.5s or 0"),
        (("--itl=-1ms",), "argument --itl: '-1ms' is not a duration such as 80ms, 1.5s or 0"),
        (("--error-rate", "2"), "argument --error-rate: '2' is not a number from 0 to 1"),
        (("--error-rate", "often"), "argument --error-rate: 'often' is not a number from 0 to 1"),
        (("--error-rate", "nan"), "argument --error-rate: 'nan' is not a number from 0 to 1"),
        (("--port", "65536"), "argument --port: '65536' is not a port number (0 to 65535)"),
        (("--port", "http"), "argument --port: 'http' is not a port number (0 to 65535)"),
    ],
)
def test_a_bad_argument_is_one_clear_line(
    arguments: tuple[str, ...], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(*arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"otel-genai simulate: error: {error}"


def test_the_arguments_are_declared_without_the_server_libraries() -> None:
    code = (
        "import sys, argparse; from otel_genai.simulator.command import add_arguments; add_arguments(argparse.ArgumentParser());"
        "print(sorted({'starlette', 'uvicorn', 'anyio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_prints_one_line(number: signal.Signals) -> None:
    with start_simulator("--port", "0", "--model", "a", "--model", "b", "--ttft", "0") as process:
        assert process.stderr is not None
        ready = re.fullmatch(
            r"otel-genai simulate: serving a, b at http://127\.0\.0\.1:(\d+)/v1  \(Ctrl-C stops\)\n",
            process.stderr.readline(),
        )
        assert ready is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(ready[1]))
        connection.request("GET", "/v1/models")
        assert [model["id"] for model in json.loads(connection.getresponse().read())["data"]] == ["a", "b"]
        connection.close()
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (0, "", "")


def test_an_unusable_host_is_one_line_and_status_1() -> None:
    status, output, errors = run_simulator("--host", "256.0.0.1", "--port", "0")
    assert (status, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith("otel-genai simulate: cannot listen on 256.0.0.1:0: ")


def test_a_port_in_use_is_one_line_and_status_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        assert run_simulator("--port", str(port)) == (
            1,
            "",
            f"otel-genai simulate: cannot listen on 127.0.0.1:{port}: Address already in use\n",
        )


def test_a_command_calls_the_simulator_and_its_exit_status_is_returned() -> None:
    code = """
import os, sys, urllib.request
print(os.environ["OPENAI_API_KEY"])
print(urllib.request.urlopen(os.environ["OPENAI_BASE_URL"].removesuffix("/v1") + "/health").read().decode())
sys.exit(7)
"""
    assert run_simulator("--port", "0", "--", sys.executable, "-c", code) == (7, 'simulated\n{"status":"ok"}\n', "")


def test_a_command_that_a_signal_ends_has_128_plus_the_signal_as_its_status() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert run_simulator("--port", "0", "--", sys.executable, "-c", code)[0] == 128 + 9


@pytest.mark.parametrize(
    ("command", "status", "reason"),
    [("no-such-command", 127, "No such file or directory"), ("/", 126, "Permission denied")],
)
def test_a_command_that_cannot_run_is_one_line(command: str, status: int, reason: str) -> None:
    line = f"otel-genai simulate: cannot run {command}: {reason}\n"
    assert run_simulator("--port", "0", "--", command) == (status, "", line)


# Waits for signals and misses none, not even one that comes before the wait.
WAITING = """
import signal, sys
numbers = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print("ready", flush=True)
number = signal.sigwait(numbers)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_command(number: signal.Signals) -> None:
    command = f"{WAITING}sys.exit(40 + number)"
    with start_simulator("--port", "0", "--", sys.executable, "-c", command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (40 + number, "")


def test_a_terminals_ctrl_c_reaches_the_command_once() -> None:
    command = f"{WAITING}print(number, flush=True)\nsys.exit(40 + signal.sigwait(numbers))"
    keyboard, terminal = pty.openpty()
    # The first terminal that a session's leader opens becomes the controlling terminal.
    program = f"import os; os.open({os.ttyname(terminal)!r}, os.O_RDWR)\n{PROGRAM}"
    with start_simulator("--port", "0", "--", sys.executable, "-c", command, program=program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.write(keyboard, b"\x03")
        assert process.stdout.readline() == "2\n"
        # A forwarded interrupt would arrive before this, since the simulator has received it earlier.
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    os.close(keyboard)
    os.close(terminal)
    assert process.returncode == 40 + signal.SIGTERM
