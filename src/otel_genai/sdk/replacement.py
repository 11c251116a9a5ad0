"""Lets the program replace the providers that the runner has set, also for tracers and loggers that exist by then.

OpenTelemetry's API lets a global provider be set once, and warns the second time. This module gives that one time back to the program.
Tracers and loggers of the runner's providers look the global provider up on every use, as the API's own proxies do.
"""

from __future__ import annotations

import logging
import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry import _logs, trace

if TYPE_CHECKING:
    from collections.abc import Callable

_SET_ONCE: Final = (
    ("opentelemetry.trace", "_TRACER_PROVIDER_SET_ONCE"),
    ("opentelemetry.metrics._internal", "_METER_PROVIDER_SET_ONCE"),
    ("opentelemetry._logs._internal", "_LOGGER_PROVIDER_SET_ONCE"),
)
"""Private names of opentelemetry-api (1.41 to 1.45): no public function sets a global provider a second time."""

_logger = logging.getLogger("otel_genai")


def allow_replacement(on_replaced: Callable[[], None]) -> None:
    """Let the program set each of the three providers once; `on_replaced` is called after each.

    A version of the API without the private names keeps the runner's providers, and warns a program that sets others.
    """
    if unknown := [f"{module}.{name}" for module, name in _SET_ONCE if not hasattr(sys.modules.get(module), name)]:
        _logger.debug("The program cannot replace the runner's providers: unknown to the API: %s", ", ".join(unknown))
        return
    for module, name in _SET_ONCE:
        setattr(sys.modules[module], name, _SetOnce(on_replaced))
    tracers, loggers = trace.get_tracer_provider(), _logs.get_logger_provider()
    get_tracer, get_logger = tracers.get_tracer, loggers.get_logger

    def tracer(*scope: Any, **more: Any) -> Any:
        before = get_tracer(*scope, **more)
        after = cache(lambda: trace.get_tracer_provider().get_tracer(*scope, **more))
        return _Tracer(lambda: before if trace.get_tracer_provider() is tracers else after())

    def logger(*scope: Any, **more: Any) -> Any:
        before = get_logger(*scope, **more)
        after = cache(lambda: _logs.get_logger_provider().get_logger(*scope, **more))
        return _Logger(lambda: before if _logs.get_logger_provider() is loggers else after())

    cast("Any", tracers).get_tracer = tracer
    cast("Any", loggers).get_logger = logger


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


def _class_of_current(api: type) -> Callable[[Callable[[], object]], Any]:
    """Return a subclass of a class of the API. Each of its objects passes all calls to the object that a function returns.

    The methods are looked up, because minor versions of the API add abstract ones, such as `Logger.enabled`.
    """

    def __init__(self: Any, current: Callable[[], object]) -> None:  # noqa: N807
        self._current = current

    def __getattr__(self: Any, name: str) -> Any:  # noqa: N807
        # The SDK's objects have attributes that the API's do not have, and some libraries read them.
        return getattr(self._current(), name)

    def method(name: str) -> Callable[..., Any]:
        return lambda self, *args, **kwargs: getattr(self._current(), name)(*args, **kwargs)

    methods = {name: method(name) for name in dir(api) if not name.startswith("_")}
    return type(
        api.__name__, (api,), {"__module__": __name__, "__init__": __init__, "__getattr__": __getattr__, **methods}
    )


_Tracer = _class_of_current(trace.Tracer)
_Logger = _class_of_current(_logs.Logger)
