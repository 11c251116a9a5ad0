"""Runs an ASGI application on a thread of its own, so that the main thread is free for signals, commands or tests.

The socket is bound and listens before the thread starts: a port in use raises in the caller, and an early connection waits instead of
being refused.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises `OSError` if the address cannot be used. Port 0 means any free port."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # The port of a server that has just ended can be used again at once.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def running(app: ASGIApp, listener: socket.socket) -> Iterator[str]:
    """Serves as long as the block lasts, and gives the API's base URL. Streams that are open at the end are cut off."""
    host, port = listener.getsockname()[:2]
    server = _Server(app)
    thread = threading.Thread(target=server.run, args=([listener],), name="otel-genai simulator", daemon=True)
    thread.start()
    server.settled.wait()
    if not server.started:
        thread.join()
        listener.close()
        raise RuntimeError("the simulator's server did not start")
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    finally:
        server.should_exit = True
        thread.join()


class _Server(uvicorn.Server):
    """A silent uvicorn. `settled` is set when it has started, or has failed to start."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=0,
        )
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.settled.set()
