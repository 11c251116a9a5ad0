"""The simulator as a model server with telemetry of its own, by the package's own instrumentation."""

from __future__ import annotations

import os
import sys
from typing import Final

_SIGNALS: Final = ("TRACES", "METRICS", "LOGS")
_SERVICE: Final = "otel-genai-simulator"


class NoTelemetryError(Exception):
    """The environment asks for telemetry that cannot be had."""


def switch_on() -> None:
    """Instrument what is served from now on, if the environment names somewhere for telemetry to go, or a run has set it up.

    Raises NoTelemetryError with a sentence for people.
    """
    if "opentelemetry.sdk.trace" not in sys.modules:
        if not _is_wanted():
            return
        _set_up()
    from otel_genai.instrumentors.simulator.instrumentor import SimulatorInstrumentor

    SimulatorInstrumentor().instrument()


def _is_wanted() -> bool:
    names = [f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT" for signal in _SIGNALS]
    names += [f"OTEL_{signal}_EXPORTER" for signal in _SIGNALS]
    return any(os.environ.get(name, "").strip() for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", *names))


def _set_up() -> None:
    try:
        from otel_genai.sdk.configure import configure
        from otel_genai.sdk.environment import CannotConfigureError
    except ImportError as error:
        raise NoTelemetryError("telemetry needs the extra 'run': pip install 'otel-genai[run]'") from error
    try:
        configure(_SERVICE)
    except CannotConfigureError as error:
        raise NoTelemetryError(str(error)) from error
