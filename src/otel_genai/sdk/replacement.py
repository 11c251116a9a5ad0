"""Lets the program replace the providers that the runner has set, also for tracers and loggers that exist by then.

OpenTelemetry's API lets a global provider be set once, and warns the second time. Here, that one time is given back to the program.
Tracers and loggers of the runner's providers look the global provider up on every use, as the API's own proxies do.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry import _logs, trace
from opentelemetry._logs import _internal as logs_api
from opentelemetry.metrics import _internal as metrics_api

if TYPE_CHECKING:
    from collections.abc import Callable

_SET_ONCE: Final = (
    (trace, "_TRACER_PROVIDER_SET_ONCE"),
    (metrics_api, "_METER_PROVIDER_SET_ONCE"),
    (logs_api, "_LOGGER_PROVIDER_SET_ONCE"),
)
"""Private names of opentelemetry-api (1.41 to 1.45): no public function sets a global provider a second time."""
_PROXIES: Final = ((trace.ProxyTracer, "_tracer"), (logs_api.ProxyLogger, "_logger"))
"""Properties of the API's proxies that return the tracer or logger behind them."""

_logger = logging.getLogger("otel_genai")


def allow_replacement(on_replaced: Callable[[], None]) -> None:
    """Let the program set each of the three providers once; `on_replaced` is called after each.

    A version of the API without the private names keeps the runner's providers, and warns a program that sets others.
    """
    if missing := [name for owner, name in (*_SET_ONCE, *_PROXIES) if not hasattr(owner, name)]:
        _logger.debug("Providers of the program's own cannot replace the runner's: the API has no %s.", missing)
        return
    for module, name in _SET_ONCE:
        setattr(module, name, _SetOnce(on_replaced))
    tracers, loggers = trace.get_tracer_provider(), _logs.get_logger_provider()
    get_tracer, get_logger = tracers.get_tracer, loggers.get_logger
    cast("Any", tracers).get_tracer = lambda *scope, **more: _Tracer(
        tracers, get_tracer(*scope, **more), *scope, **more
    )
    cast("Any", loggers).get_logger = lambda *scope, **more: _Logger(
        loggers, get_logger(*scope, **more), *scope, **more
    )


class _SetOnce:
    """Stands in for `opentelemetry.util._once.Once`: runs one function, and reports that it has."""

    def __init__(self, on_done: Callable[[], None]) -> None:
        self._on_done = on_done
        self._lock = threading.Lock()
        self._is_done = False

    def do_once(self, func: Callable[[], None]) -> bool:
        """Run the function unless one was run before; return whether it was run."""
        with self._lock:
            if self._is_done:
                return False
            func()
            self._is_done = True
        self._on_done()
        return True


class _Tracer(trace.ProxyTracer):
    """The runner's tracer while the runner's provider is the global one, then the program's."""

    def __init__(self, provider: trace.TracerProvider, tracer: trace.Tracer, *scope: Any, **more: Any) -> None:
        super().__init__(*scope, **more)
        self._own_provider = provider
        self._own_tracer = tracer

    @property
    def _tracer(self) -> trace.Tracer:
        return self._own_tracer if trace.get_tracer_provider() is self._own_provider else super()._tracer

    def __getattr__(self, name: str) -> Any:
        # The SDK's tracers have attributes that the API's do not have, and some libraries read them.
        return getattr(self._tracer, name)


class _Logger(logs_api.ProxyLogger):
    """The runner's logger while the runner's provider is the global one, then the program's."""

    def __init__(self, provider: _logs.LoggerProvider, logger: _logs.Logger, *scope: Any, **more: Any) -> None:
        super().__init__(*scope, **more)
        self._own_provider = provider
        self._own_logger = logger

    @property
    def _logger(self) -> _logs.Logger:
        return self._own_logger if _logs.get_logger_provider() is self._own_provider else super()._logger
