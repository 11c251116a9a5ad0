"""OpenTelemetry instrumentation for GenAI clients and servers.

    import otel_genai

    otel_genai.instrument()

switches on every instrumentation whose library is installed, and imports none of those libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from otel_genai.version import __version__

if TYPE_CHECKING:
    from otel_genai.instrumentors.instrument import instrument, uninstrument
    from otel_genai.telemetry.observers import observe

__all__ = ["__version__", "instrument", "observe", "uninstrument"]

_HOMES: Final = {
    "instrument": "otel_genai.instrumentors",
    "observe": "otel_genai.telemetry.observers",
    "uninstrument": "otel_genai.instrumentors",
}


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: the command line imports this package too, and starts before anything is instrumented.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
