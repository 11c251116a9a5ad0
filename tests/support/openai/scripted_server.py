"""A model server on loopback that sends the answers of a test, valid or not, and keeps the requests."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CUT = object()
"""Among the events of a stream: the connection breaks here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: JSON, bytes, or server-sent events. A `threading.Event` among the events is awaited before the next is sent."""

    body: Any = None
    events: Sequence[Any] | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Received:
    """A request. A body that is not JSON stays bytes."""

    path: str
    headers: dict[str, str]
    body: Any


class ScriptedServer:
    """Sends its answers in order, and repeats the last."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.received: list[Received] = []
        self.url = ""

    def next(self) -> Answer:
        """The answer to the next request."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def scripted(*answers: Answer) -> Iterator[ScriptedServer]:
    """A running server, at `.url`."""
    script = ScriptedServer(*answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.received.append(
                Received(self.path, {name.lower(): value for name, value in self.headers.items()}, parsed(body))
            )
            answer = script.next()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.events is None:
                payload = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                if "Content-Type" not in answer.headers:
                    self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
            else:
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.stream(answer.events)

        do_GET = do_POST

        def stream(self, events: Sequence[Any]) -> None:
            for event in events:
                if event is CUT:
                    self.close_connection = True
                    return
                if isinstance(event, threading.Event):
                    event.wait()
                    continue
                data = event if isinstance(event, str) else json.dumps(event)
                self.piece(f"data: {data}\n\n".encode())
            self.piece(b"data: [DONE]\n\n")
            self.piece(b"")

        def piece(self, data: bytes) -> None:
            try:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            except ConnectionError:  # the client has closed the connection
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def parsed(body: bytes) -> Any:
    """The parsed JSON, or the bytes of any other body."""
    try:
        return json.loads(body)
    except ValueError:
        return body


def completion(**changes: Any) -> dict[str, Any]:
    """A chat completion as OpenAI sends it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "system_fingerprint": "fp_1",
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello!"},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 3,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
        **changes,
    }


def chunk(*choices: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A chunk of a streamed chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "system_fingerprint": "fp_1",
        "service_tier": "default",
        "choices": list(choices),
        **changes,
    }


def delta(index: int = 0, finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """One choice of a chunk."""
    return {"index": index, "delta": fields, "finish_reason": finish_reason}


HELLO = [
    chunk(delta(role="assistant", content="")),
    chunk(delta(content="Hel")),
    chunk(delta(content="lo!")),
    chunk(delta(finish_reason="stop")),
    chunk(usage={"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}),
]
