"""A provider that the script installs takes the place of ours, without a warning, and also for the tracers that exist already.

OpenTelemetry's API lets a global provider be set once, and ours was first. So that one time is given back; and the tracers and
loggers of ours ask on every use who is in charge by now, as the API's own proxies do before anyone is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry import _logs, trace
from opentelemetry._logs import _internal as logs_api
from opentelemetry.metrics import _internal as metrics_api
from opentelemetry.util._once import Once

if TYPE_CHECKING:
    from collections.abc import Callable

_ONCE: Final = (
    (trace, "_TRACER_PROVIDER_SET_ONCE"),
    (metrics_api, "_METER_PROVIDER_SET_ONCE"),
    (logs_api, "_LOGGER_PROVIDER_SET_ONCE"),
)


def are_set() -> bool:
    """Whether the script has set a tracer provider already."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def give_way(handed_over: Callable[[], None]) -> None:
    """Let the script set providers of its own after all; `handed_over` is called after each."""
    if not are_set():
        return
    for module, name in _ONCE:
        setattr(module, name, _OnceMore(handed_over))
    tracers, loggers = trace.get_tracer_provider(), _logs.get_logger_provider()
    of_ours = tracers.get_tracer
    cast("Any", tracers).get_tracer = lambda *scope, **more: _Tracer(tracers, of_ours(*scope, **more), *scope, **more)
    logs_of_ours = loggers.get_logger
    cast("Any", loggers).get_logger = lambda *scope, **more: _Logger(
        loggers, logs_of_ours(*scope, **more), *scope, **more
    )


class _OnceMore(Once):
    """The one time that a provider can be set; tells when it has been used."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def do_once(self, func: Callable[[], None]) -> bool:
        done = super().do_once(func)
        if done:
            self._then()
        return done


class _Tracer(trace.ProxyTracer):
    """A tracer of ours as long as we are in charge, and then one of the script's."""

    def __init__(self, ours: trace.TracerProvider, of_ours: trace.Tracer, *scope: Any, **more: Any) -> None:
        super().__init__(*scope, **more)
        self._ours = ours
        self._of_ours = of_ours

    @property
    def _tracer(self) -> trace.Tracer:
        return self._of_ours if trace.get_tracer_provider() is self._ours else super()._tracer

    def __getattr__(self, name: str) -> Any:
        # The SDK's tracers have more than the API says, and some libraries know.
        return getattr(self._tracer, name)


class _Logger(logs_api.ProxyLogger):
    """The same for events."""

    def __init__(self, ours: _logs.LoggerProvider, of_ours: _logs.Logger, *scope: Any, **more: Any) -> None:
        super().__init__(*scope, **more)
        self._ours = ours
        self._of_ours = of_ours

    @property
    def _logger(self) -> _logs.Logger:
        return self._of_ours if _logs.get_logger_provider() is self._ours else super()._logger
