"""`instrument()` and `uninstrument()`: the instrumentors that the package's entry points name, one for each library.

`instrument()` waits for the libraries: a process pays only for those that it imports.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from otel_genai.instrumentors import import_hook

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

    from otel_genai.instrumentors.options import InstrumentOptions

_waiting: Final[dict[str, Callable[[], None]]] = {}
"""Name of an entry point whose library is not imported yet → a function that stops the waiting."""


def instrument(**options: Any) -> None:
    """Switch on every instrumentation of this package whose library is installed in a supported version.

    The settings in the environment (`otel_genai.config.SETTINGS`) are read now. Arguments, all optional:

    - `tracer_provider`, `meter_provider`, `logger_provider`: OpenTelemetry's global ones otherwise;
    - `provider`: `gen_ai.provider.name` of every server whose address does not show it: `"vllm"`;
    - `redact`: a function from text to text, applied to all content before anything is recorded;
    - `completion_hook`: an object with the `on_completion` of `opentelemetry-util-genai`, called with every prompt and answer;
    - `engine_stats`: `True` makes engines keep statistics even if the program leaves them off, as vLLM's offline default does.

    Instrumentations that are on stay as they are. Raises `ValueError` for unknown or unusable arguments.
    """
    from otel_genai.instrumentors.options import InstrumentOptions

    parsed = InstrumentOptions.parse(**options)
    for entry_point, modules in import_hook.entry_points(parsed.config.wrap).items():
        if modules and entry_point.name not in _waiting:
            stop_waiting = import_hook.before_import(modules, partial(_switch_on, entry_point, parsed))
            if stop_waiting is not None:
                _waiting[entry_point.name] = stop_waiting


def uninstrument() -> None:
    """Undo every instrumentation of this package. Open calls and streams are still reported."""
    while _waiting:
        _, stop_waiting = _waiting.popitem()
        stop_waiting()
    from otel_genai.instrumentors import activation

    for entry_point in import_hook.entry_points(()):
        # An instrumentor that was never imported is not on.
        if entry_point.module in sys.modules:
            instrumentor = activation.instrumentor_of(entry_point)
            if instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.uninstrument()


def _switch_on(entry_point: EntryPoint, parsed: InstrumentOptions) -> None:
    from otel_genai.instrumentors import activation

    _waiting.pop(entry_point.name, None)
    activation.switch_on(entry_point, parsed)
