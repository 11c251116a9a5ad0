"""Programs of the stack: started, awaited, and ended when their block ends."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tests.support.processes import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).parents[3]
READY_WITHIN_S: Final = 60.0
_GONE_WITHIN_S: Final = 15.0


def program(name: str) -> str:
    """The path of a program: of this environment, or of the machine."""
    beside = Path(sys.executable).parent / name  # an absolute `name` replaces the folder
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is not installed; on Debian: apt-get install prometheus nginx-light docker-compose"
    return found


def free_port() -> int:
    """A free port of the loopback interface."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str], *, ready: Callable[[], bool], log: Path, variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A ready program in a session of its own. SIGTERM ends it, SIGKILL its children; `log` has its output."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program(command[0]), *command[1:]],
            cwd=ROOT,
            env={**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1", **(variables or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        await_that(
            lambda: process.poll() is not None or ready(), lambda: f"{command}: {log.read_text()}", READY_WITHIN_S
        )
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GONE_WITHIN_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_GONE_WITHIN_S)


def await_that(condition: Callable[[], bool], describe: Callable[[], str], timeout: float) -> None:
    """Return as soon as the condition holds; fail with the description after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, describe()
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Whether a GET of the URL is answered with 200."""
    try:
        return fetched(url)[0] == http.client.OK
    except OSError:
        return False


def fetched(url: str) -> tuple[int, bytes]:
    """Status and body of a GET, past any configured proxy."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request("GET", f"{parts.path or '/'}?{parts.query}")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def listens(port: int) -> bool:
    """Whether connections to a port of the loopback interface are accepted."""
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
