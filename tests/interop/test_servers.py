"""Servers with workers: each request to each worker is a trace of its own, and stopping a server loses no span."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import threading
from concurrent import futures
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import ENVIRONMENT, PATIENCE_S, RUN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.otlp.receiver import Received

pytestmark = pytest.mark.interop

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

CALL = """\
import os
import openai
client = openai.OpenAI(max_retries=0)
def call():
    client.chat.completions.create(model="sim-small", messages=[{"role": "user", "content": "hello"}])
    return str(os.getpid()).encode()
"""
WSGI = (
    CALL
    + """
def app(environ, start_response):
    body = call()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
)
ASGI = (
    CALL
    + """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": call()})
"""
)


class Server:
    """A server that is ready: its output, and the processes that answer."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._output: list[str] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self._address = self.wait_for(r"(?:Listening at|running on):? http://(\S+?)[ /]").group(1)

    def wait_for(self, pattern: str, *, times: int = 1) -> re.Match[str]:
        """Wait until its output matches that many times, and return the last match."""

        def found() -> list[re.Match[str]]:
            return list(re.finditer(pattern, "".join(self._output)))

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= times, PATIENCE_S), "".join(self._output)
        return found()[-1]

    def request(self) -> str:
        """Send a request, and return the process id of the worker that answers."""
        connection = http.client.HTTPConnection(self._address, timeout=PATIENCE_S)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def request_all(self, workers: int) -> int:
        """Send requests until that many workers have answered; return the number of requests."""
        seen: list[str] = []
        with futures.ThreadPoolExecutor(2 * workers) as pool:
            while len(set(seen)) < workers:
                assert len(seen) < 500
                seen += pool.map(lambda _: self.request(), range(2 * workers))
        return len(seen)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it by a signal, and return its exit status."""
        self._process.send_signal(number)
        return self._process.wait(PATIENCE_S)

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._changed:
                self._output.append(line)
                self._changed.notify_all()


@contextmanager
def serving(*command: str, cwd: Path, **variables: str) -> Iterator[Server]:
    with subprocess.Popen(
        [*RUN, *command],
        cwd=cwd,
        env=ENVIRONMENT | variables,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Server(process)
        finally:
            # Workers outlive a server that is killed.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def assert_seen(received: Received, requests: int) -> None:
    """Assert that each request is one span, the root of a trace of its own."""
    assert [span.name for span in received.spans] == requests * ["chat sim-small"]
    assert len({span.trace_id for span in received.spans}) == requests
    assert {span.parent_span_id for span in received.spans} == {b""}


@pytest.mark.parametrize("options", [(), ("--preload",), ("--threads", "2")], ids=["sync", "preload", "threads"])
def test_gunicorn(options: tuple[str, ...], received: Received, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(WSGI)
    command = ("gunicorn", "--workers", "2", "--bind", "127.0.0.1:0", "--no-control-socket", *options, "service:app")
    with serving(*command, cwd=tmp_path, TRACEPARENT=TRACEPARENT, **variables) as server:
        requests = server.request_all(2)
        assert server.stop() == 0
    assert_seen(received, requests)


def test_gunicorn_whose_worker_is_killed(received: Received, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(WSGI)
    command = ("gunicorn", "--workers", "1", "--bind", "127.0.0.1:0", "--no-control-socket", "service:app")
    with serving(*command, cwd=tmp_path, **variables) as server:
        worker = int(server.request())
        assert received.wait_for_spans(1, patience=4)
        subprocess.run(["kill", "-9", str(worker)], check=True)
        server.wait_for("Booting worker", times=2)
        assert int(server.request()) != worker
        assert server.stop() == 0
    assert_seen(received, 2)


def test_uvicorn_with_workers(received: Received, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(ASGI)
    command = ("uvicorn", "--workers", "2", "--port", "0", "service:app")
    with serving(*command, cwd=tmp_path, TRACEPARENT=TRACEPARENT, **variables) as server:
        server.wait_for("startup complete", times=2)
        requests = server.request_all(2)
        assert server.stop() in {0, -signal.SIGTERM}
    assert_seen(received, requests)


def test_uvicorn_alone(received: Received, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(ASGI)
    with serving(
        "-m", "uvicorn", "--port", "0", "service:app", cwd=tmp_path, TRACEPARENT=TRACEPARENT, **variables
    ) as server:
        requests = server.request_all(1)
        assert server.stop() in {0, -signal.SIGTERM}
    assert_seen(received, requests)


def test_uvicorn_that_reloads(received: Received, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(ASGI)
    with serving("uvicorn", "--reload", "--port", "0", "service:app", cwd=tmp_path, **variables) as server:
        server.wait_for("startup complete")
        first = server.request()
        (tmp_path / "service.py").write_text(ASGI + "\n# changed\n")
        server.wait_for("startup complete", times=2)
        assert server.request() != first
        assert server.stop() in {0, -signal.SIGTERM}
    assert_seen(received, 2)
