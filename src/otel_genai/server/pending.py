"""Requests that a library answers in its own time: taken in one call, told of in others, in whichever thread.

Such a request is a `Call` like any other. It has a key instead of a frame, and ends when its `Account` says that it is over.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from otel_genai.call.deferred import DeferredCall
from otel_genai.endpoint.endpoint import Arguments
from otel_genai.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from otel_genai.endpoint.endpoint import Endpoint
    from otel_genai.endpoint.rows import News
    from otel_genai.patching.drivers import Driver
    from otel_genai.telemetry.telemetry import Telemetry

_OPENING: Final = Guard("a request is not reported")
_HEARING: Final = Guard("a request lacks part of what was told of it")


class Requests:
    """The open requests of one provider, by their keys."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._open: dict[Hashable, DeferredCall] = {}
        self._lock = threading.Lock()
        self._opening = 0
        # An engine in another thread may be quicker than the method that gave it the request.
        self._early: list[tuple[Hashable, Any]] = []

    def opening(self, endpoint: Endpoint) -> Driver:
        """For methods that take a request."""

        def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            arguments = Arguments(instance, args, kwargs)
            call = DeferredCall.begin(self._telemetry, endpoint, arguments)
            if call is None:
                return wrapped(*args, **kwargs)
            with self._lock:
                self._opening += 1
            key: Hashable | None = None
            try:
                result = call.run(wrapped, args, kwargs)
                with _OPENING:
                    key = endpoint.key(arguments, result)
            finally:
                self._opened(key, call)
            return result

        return drive

    def _opened(self, key: Hashable | None, call: DeferredCall) -> None:
        with self._lock:
            self._opening -= 1
            if key is None or key in self._open:
                call.discard()
            else:
                self._open[key] = call
                for early, chunk in self._early:
                    if early == key:
                        self._take_down(key, call, chunk)
            if not self._opening:
                self._early.clear()

    def hearing(self, row: News) -> Driver:
        """For methods by which word of requests passes."""
        read = row.load()

        def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            told: tuple[tuple[Hashable, Any], ...] = ()
            with _HEARING:
                told = tuple(read(Arguments(instance, args, kwargs)))
            try:
                return wrapped(*args, **kwargs)
            finally:
                # Afterwards, so that nobody waits for us; the engine may have forgotten the request by then.
                for key, chunk in told:
                    self._hear(key, chunk)

        return drive

    def _hear(self, key: Hashable, chunk: Any) -> None:
        call = self._open.get(key)
        if call is None:
            with self._lock:
                call = self._open.get(key)
                if call is None:
                    if self._opening:
                        self._early.append((key, chunk))
                    return
        self._take_down(key, call, chunk)

    def _take_down(self, key: Hashable, call: DeferredCall, chunk: Any) -> None:
        call.chunk(chunk)
        if call.is_over():
            self._open.pop(key, None)
            call.finish()
