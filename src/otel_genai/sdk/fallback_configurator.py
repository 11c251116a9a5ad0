"""Sets the SDK up by its public names, for a version without the configurator that distributions build on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel_genai.sdk.exporters import exporters
from otel_genai.sdk.plugins import entry_points

if TYPE_CHECKING:
    from collections.abc import Iterator

_logger = logging.getLogger("otel_genai")


class FallbackConfigurator:
    """Sets the three providers. `OTEL_PYTHON_ID_GENERATOR` and `OTEL_CONFIG_FILE` have no effect."""

    def configure(self) -> None:
        """Set the global providers, with the exporters that the environment names; a missing one raises KeyError."""
        _logger.debug("This version of the OpenTelemetry SDK has no configurator, so its public classes are used.")
        tracers = TracerProvider()
        for exporter in _exporters("traces"):
            tracers.add_span_processor(BatchSpanProcessor(exporter))
        loggers = LoggerProvider()
        for exporter in _exporters("logs"):
            loggers.add_log_record_processor(BatchLogRecordProcessor(exporter))
        readers = [
            found if isinstance(found, MetricReader) else PeriodicExportingMetricReader(found)
            for found in _exporters("metrics")
        ]
        trace.set_tracer_provider(tracers)
        metrics.set_meter_provider(MeterProvider(readers))
        _logs.set_logger_provider(loggers)


def _exporters(signal: str) -> Iterator[Any]:
    installed = entry_points(group=f"opentelemetry_{signal}_exporter")
    for name in exporters(signal):
        yield installed[name].load()()
