"""Whether a simulator's telemetry is exported, and the SDK that exports it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_genai.simulator.telemetry import ServerTelemetry

_SIGNALS: Final = ("TRACES", "METRICS", "LOGS")
_SERVICE_NAME: Final = "otel-genai-simulator"


class NoTelemetryError(Exception):
    """The environment configures telemetry that is not available. The message is a sentence for users."""


def exported_telemetry() -> ServerTelemetry | None:
    """The telemetry of this process's servers; `None` if there is no SDK, and the environment configures no export.

    An SDK that is loaded already is used, as under `otel-genai run`; otherwise one is configured from the environment. Raises
    `NoTelemetryError`.
    """
    if "opentelemetry.sdk.trace" not in sys.modules:
        if not _is_configured():
            return None
        _configure_sdk()
    from otel_genai.simulator.telemetry import ServerTelemetry

    return ServerTelemetry()


def _is_configured() -> bool:
    names = [f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT" for signal in _SIGNALS]
    names += [f"OTEL_{signal}_EXPORTER" for signal in _SIGNALS]
    return any(os.environ.get(name, "").strip() for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", *names))


def _configure_sdk() -> None:
    try:
        from otel_genai.sdk.configure import configure
        from otel_genai.sdk.environment import CannotConfigureError
    except ImportError as error:
        raise NoTelemetryError("telemetry needs the extra 'run': pip install 'otel-genai[run]'") from error
    try:
        configure(_SERVICE_NAME)
    except CannotConfigureError as error:
        raise NoTelemetryError(str(error)) from error
