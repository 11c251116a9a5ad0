"""The trace that a run was started within (TRACEPARENT): its spans belong to it, unless the process becomes a server.

A span without a parent becomes a child of that trace, in every thread and task: a context that is attached in one thread would miss
the thread pools of a program. A process that listens on TCP is a server, whose requests have callers and traces of their own.
The variables are taken out of the environment, because some servers read them and would put every request into that one trace.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry import context, propagate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

    from opentelemetry.context import Context

_VARIABLES: Final = ("TRACEPARENT", "TRACESTATE", "BAGGAGE")
_CHECK_INTERVAL_S: Final = 0.001
"""A check of all open sockets takes a few tenths of a millisecond, and one call asks several times."""
_OPEN_FILES: Final = next((folder for folder in ("/proc/self/fd", "/dev/fd") if Path(folder).is_dir()), None)

_logger = logging.getLogger("otel_genai")


def take_headers() -> Mapping[str, str]:
    """Take the W3C headers of the trace out of the environment of this process, and return them by lower-case name."""
    found = {name.lower(): os.environ.pop(name, "") for name in _VARIABLES} if _VARIABLES[0] in os.environ else {}
    return {name: value for name, value in found.items() if value}


def follow(headers: Mapping[str, str]) -> None:
    """Make every root span of this process a child of this trace, until the process listens on TCP."""
    inherited = propagate.extract(headers)
    if not inherited:
        return
    # Private (opentelemetry-api 1.41 to 1.45). The public `attach` is no way back: its context is that of one thread, and of all
    # requests that this thread serves.
    runtime_context = getattr(context, "_RUNTIME_CONTEXT", None)
    if runtime_context is None:
        _logger.debug("TRACEPARENT is ignored: unknown to the API: opentelemetry.context._RUNTIME_CONTEXT")
        return
    cast("Any", context)._RUNTIME_CONTEXT = _RootedContext(runtime_context, inherited)


class _RootedContext:
    """The API's runtime context, except that the inherited context stands in for an empty one."""

    def __init__(self, inner: Any, root: Context) -> None:
        self._inner = inner
        self._root = root
        self._is_server = False
        self._checked_at = -_CHECK_INTERVAL_S

    def attach(self, context: Context) -> Token[Context]:
        return cast("Token[Context]", self._inner.attach(context))

    def get_current(self) -> Context:
        return cast(
            "Context", self._inner.get_current() or (self._inner.get_current() if self._listens() else self._root)
        )

    def detach(self, token: Token[Context]) -> None:
        self._inner.detach(token)

    def _listens(self) -> bool:
        if not self._is_server and time.monotonic() - self._checked_at >= _CHECK_INTERVAL_S:
            self._is_server = _has_listening_socket()
            # Last, so that no other thread trusts the check before.
            self._checked_at = time.monotonic()
        return self._is_server


def _has_listening_socket() -> bool:
    return _OPEN_FILES is not None and any(_listens_on_tcp(int(name)) for name in os.listdir(_OPEN_FILES))  # noqa: PTH208 - names are numbers


def _listens_on_tcp(descriptor: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        found = socket.socket(fileno=descriptor)
    except OSError:
        # Another thread has closed it.
        return False
    try:
        is_tcp = found.family in {socket.AF_INET, socket.AF_INET6} and found.type == socket.SOCK_STREAM
        return is_tcp and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0
    except OSError:
        return False
    finally:
        # The program closes it, not this object.
        found.detach()
