"""A run that was started within a trace (TRACEPARENT in its environment) belongs to it, unless it turns out to be a server.

What has no parent becomes a child of that trace, in every thread and task: a context of one thread would miss the pools of a
short program. A process that listens on TCP is a server: its requests have callers of their own, and begin traces of their own.
The variables are taken out of the environment, because servers that read them would glue every request to that one trace.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry import context, propagate
from opentelemetry.context.context import _RuntimeContext

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

    from opentelemetry.context import Context

_VARIABLES: Final = ("TRACEPARENT", "TRACESTATE", "BAGGAGE")
_LOOK_AGAIN: Final = 0.001
"""Seconds. A look at all open sockets takes a few tenths of a millisecond, and a call asks several times."""
_OPEN_FILES: Final = next((place for place in ("/proc/self/fd", "/dev/fd") if Path(place).is_dir()), None)


def take() -> Mapping[str, str]:
    """The headers of the trace that this process was started within, taken out of its environment."""
    found = {name.lower(): os.environ.pop(name, "") for name in _VARIABLES} if _VARIABLES[0] in os.environ else {}
    return {name: value for name, value in found.items() if value}


def follow(headers: Mapping[str, str]) -> None:
    """Have everything in this process that would begin a trace continue this one, until the process listens for callers."""
    inherited = propagate.extract(headers)
    if inherited:
        context._RUNTIME_CONTEXT = _Rooted(context._RUNTIME_CONTEXT, inherited)


class _Rooted(_RuntimeContext):
    """A runtime context that is never empty."""

    def __init__(self, inner: _RuntimeContext, root: Context) -> None:
        self._inner = inner
        self._root = root
        self._serves = False
        self._looked = -_LOOK_AGAIN

    def attach(self, context: Context) -> Token[Context]:
        return self._inner.attach(context)

    def get_current(self) -> Context:
        return self._inner.get_current() or (self._inner.get_current() if self._is_server() else self._root)

    def detach(self, token: Token[Context]) -> None:
        self._inner.detach(token)

    def _is_server(self) -> bool:
        if not self._serves and time.monotonic() - self._looked >= _LOOK_AGAIN:
            self._serves = _listens()
            # Last, so that no other thread goes by what was seen before.
            self._looked = time.monotonic()
        return self._serves


def _listens() -> bool:
    """Whether this process has a TCP socket that accepts connections."""
    return _OPEN_FILES is not None and any(_accepts(int(name)) for name in os.listdir(_OPEN_FILES))  # noqa: PTH208 - they are numbers


def _accepts(descriptor: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        found = socket.socket(fileno=descriptor)
    except OSError:
        # Closed by another thread in between.
        return False
    try:
        is_tcp = found.family in {socket.AF_INET, socket.AF_INET6} and found.type == socket.SOCK_STREAM
        return is_tcp and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0
    except OSError:
        return False
    finally:
        # It is not ours to close.
        found.detach()
