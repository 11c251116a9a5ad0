"""Switches instrumentations on and off: one folder a library, named in the package's entry points.

`instrument()` only waits for these libraries: a process pays for those that it imports.
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
"""For each entry point whose library is not imported yet: the function that ends the waiting."""


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

    parsed = InstrumentOptions.of(**options)
    for entry, modules in import_hook.entry_points(parsed.config.wrap).items():
        if modules and entry.name not in _waiting:
            stop_waiting = import_hook.before_import(modules, partial(_switch_on, entry, parsed))
            if stop_waiting is not None:
                _waiting[entry.name] = stop_waiting


def uninstrument() -> None:
    """Revert every instrumentation of this package. Calls and streams that have begun are still reported."""
    while _waiting:
        _, stop_waiting = _waiting.popitem()
        stop_waiting()
    from otel_genai.instrumentors import activation

    for entry in import_hook.entry_points(()):
        # One that was never imported is not on.
        if entry.module in sys.modules:
            instrumentor = activation.instrumentor_of(entry)
            if instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.uninstrument()


def _switch_on(entry: EntryPoint, parsed: InstrumentOptions) -> None:
    from otel_genai.instrumentors import activation

    _waiting.pop(entry.name, None)
    activation.switch_on(entry, parsed)
