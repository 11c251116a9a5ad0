"""Switches on the instrumentor of a library that a program is importing."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Final

from otel_genai.guard import Guard
from otel_genai.instrumentors import versions

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from otel_genai.instrumentors.instrumentor import Instrumentor
    from otel_genai.instrumentors.options import InstrumentOptions

_logger = logging.getLogger("otel_genai")
_SWITCHING_ON: Final = Guard("this process is not instrumented")


def switch_on(entry: EntryPoint, parsed: InstrumentOptions) -> None:
    """Switch on the instrumentor of an entry point, unless it is on or its library's version is not supported."""
    with _SWITCHING_ON:  # an error would reach the application, which is importing the library
        instrumentor = instrumentor_of(entry)
        if instrumentor.is_instrumented_by_opentelemetry:
            return
        conflict = versions.conflict(instrumentor.instrumentation_dependencies())
        if conflict is None:
            instrumentor.instrument(skip_dep_check=True, parsed=parsed)
        else:
            # A library in a version that is not supported is worth a warning; one that is not installed is not.
            level = logging.WARNING if conflict.found else logging.DEBUG
            _logger.log(level, "%s is off: %s", type(instrumentor).__name__, conflict)


def instrumentor_of(entry: EntryPoint) -> Instrumentor:
    """The instrumentor of an entry point of this package."""
    # A provider's package registers the class with OpenTelemetry, which is not needed here and takes long.
    module = import_module(entry.module)
    if hasattr(module, "__path__"):
        module = import_module(f"{entry.module}.instrumentor")
    kind: type[Instrumentor] = getattr(module, entry.attr)
    return kind()
