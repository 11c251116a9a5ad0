"""A run that is started within a trace belongs to it. The requests to a server that is started within one do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.processes import CALL, PYTHON, RUN, outcome

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.otlp.receiver import Received

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"

INSTRUMENTED_CALL = "import openai\n" + CALL


@pytest.fixture
def variables(variables: dict[str, str]) -> dict[str, str]:
    """Return the endpoints of calls and spans, and the trace that the program is started within."""
    return {
        **variables,
        "TRACEPARENT": TRACEPARENT,
        "TRACESTATE": "vendor=1",
    }


def parents(received: Received) -> list[tuple[str, str, str]]:
    """Return name, trace and parent of every span. The empty string stands for any trace but `TRACE`."""
    return sorted(
        (span.name, TRACE if span.trace_id.hex() == TRACE else "", span.parent_span_id.hex()) for span in received.spans
    )


@pytest.mark.parametrize(
    "program",
    [
        "call()",
        "import threading\nthread = threading.Thread(target=call)\nthread.start()\nthread.join()",
        "import asyncio\nasync def main(): await asyncio.gather(asyncio.to_thread(call))\nasyncio.run(main())",
        (
            "import multiprocessing\nif __name__ == '__main__':\n    process = multiprocessing.Process(target=call)\n"
            "    process.start()\n    process.join()"
        ),
        (
            "import multiprocessing\nif __name__ == '__main__':\n    process = multiprocessing.get_context('spawn').Process(target=call)\n"
            "    process.start()\n    process.join()"
        ),
        # A socket that does not listen, one that is a pipe between processes, and one that is closed.
        (
            "import socket\nkept = socket.socket(), socket.socketpair()\nkept[0].bind(('127.0.0.1', 0))\n"
            "closed = socket.create_server(('127.0.0.1', 0))\nclosed.close()\ncall()"
        ),
    ],
    ids=["main thread", "thread", "task", "fork", "spawn", "sockets"],
)
def test_a_span_without_a_parent_belongs_to_the_trace(
    program: str, received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(INSTRUMENTED_CALL + program)
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables) == (0, "", "")
    assert parents(received) == [("chat sim-small", TRACE, PARENT)]
    assert {span.trace_state for span in received.spans} == {"vendor=1"}


def test_a_span_with_a_parent_keeps_it(received: Received, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        INSTRUMENTED_CALL + "from opentelemetry import trace\n"
        "with trace.get_tracer('app').start_as_current_span('outer'):\n    call()\n"
    )
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables) == (0, "", "")
    (outer,) = [span for span in received.spans if span.name == "outer"]
    assert parents(received) == [("chat sim-small", TRACE, outer.span_id.hex()), ("outer", TRACE, PARENT)]


SERVER = (
    INSTRUMENTED_CALL
    + """
import asyncio
async def handle(reader, writer):
    call()
    writer.close()
async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    for _ in range(2):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await reader.read()
        writer.close()
call()
asyncio.run(main())
"""
)

THREADED_SERVER = (
    INSTRUMENTED_CALL
    + """
import socketserver, socket, threading
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        call()
call()
with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
    threading.Thread(target=server.serve_forever).start()
    for _ in range(2):
        with socket.create_connection(server.server_address) as connection:
            connection.recv(1)
    server.shutdown()
"""
)

FORKING_SERVER = (
    INSTRUMENTED_CALL
    + """
import os, socket
call()
with socket.create_server(("127.0.0.1", 0)) as server:
    if os.fork() == 0:
        for _ in range(2):
            with server.accept()[0]:
                call()
        raise SystemExit
    for _ in range(2):
        with socket.create_connection(server.getsockname()) as connection:
            connection.recv(1)
    os.wait()
"""
)


@pytest.mark.parametrize("server", [SERVER, THREADED_SERVER, FORKING_SERVER], ids=["asyncio", "threads", "fork"])
def test_requests_to_a_server_begin_traces_of_their_own(
    server: str, received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(server)
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables) == (0, "", "")
    # The first call was made before the process listened.
    assert parents(received) == [
        ("chat sim-small", "", ""),
        ("chat sim-small", "", ""),
        ("chat sim-small", TRACE, PARENT),
    ]
    assert len({span.trace_id for span in received.spans}) == 3


def test_the_variables_are_taken_out_of_the_environment(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import os; print([name for name in os.environ if name.startswith('TRACE')])")
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables) == (0, "[]\n", "")


def test_a_child_follows_the_trace_that_it_was_started_within(
    received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    own = f"00-{TRACE}-00000000000000ff-01"
    (tmp_path / "child.py").write_text(INSTRUMENTED_CALL + "call()")
    (tmp_path / "app.py").write_text(
        "import os, subprocess, sys\n"
        "subprocess.run([sys.executable, 'child.py'])\n"
        f"subprocess.run([sys.executable, 'child.py'], env=os.environ | {{'TRACEPARENT': '{own}'}})\n"
    )
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables) == (0, "", "")
    assert parents(received) == [("chat sim-small", TRACE, "00000000000000ff"), ("chat sim-small", TRACE, PARENT)]


@pytest.mark.parametrize("value", ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01"])
def test_an_invalid_trace_is_ignored(value: str, received: Received, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(INSTRUMENTED_CALL + "call()")
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables | {"TRACEPARENT": value}) == (0, "", "")
    assert parents(received) == [("chat sim-small", "", "")]


def test_spans_of_an_unsampled_trace_are_not_sampled(
    received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(INSTRUMENTED_CALL + "call()")
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables | {"TRACEPARENT": f"00-{TRACE}-{PARENT}-00"}) == (0, "", "")
    assert received.spans == []


def test_contexts_of_the_program_work_as_under_plain_python(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from opentelemetry import baggage, context\n"
        "token = context.attach(baggage.set_baggage('key', 'value'))\n"
        "print(baggage.get_baggage('key'))\n"
        "context.detach(token)\n"
        "print(baggage.get_baggage('key'))\n"
    )
    expected = outcome(PYTHON, "app.py", cwd=tmp_path)
    assert expected == (0, "value\nNone\n", "")
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables) == expected
