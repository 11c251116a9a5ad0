"""The front door of what can be instrumented: one folder a library, named in the package's entry points.

`instrument()` only waits for these libraries: a process pays for those that it imports.
"""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from otel_genai.guard import Guard
from otel_genai.instrumentors import import_hook

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

    from otel_genai.instrumentors.instrumentor import Instrumentor
    from otel_genai.instrumentors.options import InstrumentOptions

_logger = logging.getLogger("otel_genai")
_SWITCHING_ON: Final = Guard("this process is not instrumented")

_waiting: Final[dict[str, Callable[[], None]]] = {}
"""How to end the waiting of each room that waits, by the name of its entry point."""


def instrument(**options: Any) -> None:
    """Switch on every instrumentation of this package whose library is installed in a supported version.

    The settings in the environment (`otel_genai.config.SETTINGS`) are read now. Arguments, all optional:

    - `tracer_provider`, `meter_provider`, `logger_provider`: OpenTelemetry's global ones otherwise;
    - `provider`: `gen_ai.provider.name` of every server, where its address does not tell: `"vllm"`;
    - `redact`: a function from text to text, applied to all content before anything is recorded;
    - `completion_hook`: an object with the `on_completion` of `opentelemetry-util-genai`, given every prompt and answer;
    - `engine_stats`: `True` has engines keep statistics even if the program has left them off, as vLLM's offline default is.

    Instrumentations that are on already stay as they are. Raises `ValueError` for arguments that cannot be used.
    """
    from otel_genai.instrumentors.options import InstrumentOptions

    wishes = InstrumentOptions.of(**options)
    for room, modules in import_hook.entry_points(wishes.config.wrap).items():
        if modules and room.name not in _waiting:
            forget = import_hook.before_import(modules, partial(_switch_on, room, wishes))
            if forget is not None:
                _waiting[room.name] = forget


def uninstrument() -> None:
    """Take back every instrumentation of this package. Calls and streams that are under way are still reported."""
    while _waiting:
        _, forget = _waiting.popitem()
        forget()
    for room in import_hook.entry_points(()):
        # One that was never imported is not on.
        if room.module in sys.modules:
            instrumentor: Instrumentor = room.load()()
            if instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.uninstrument()


def _switch_on(room: EntryPoint, wishes: InstrumentOptions) -> None:
    _waiting.pop(room.name, None)
    from opentelemetry.instrumentation.dependencies import DependencyConflictError

    with _SWITCHING_ON:  # an error would be the application's, whose import this is
        instrumentor: Instrumentor = room.load()()
        if instrumentor.is_instrumented_by_opentelemetry:
            return
        try:
            instrumentor.instrument(raise_exception_on_conflict=True, wishes=wishes)
        except DependencyConflictError as error:
            # A library that is not installed is no news; one in a version that we do not support is.
            level = logging.WARNING if error.conflict.found else logging.DEBUG
            _logger.log(level, "%s is off: %s", type(instrumentor).__name__, error.conflict)
