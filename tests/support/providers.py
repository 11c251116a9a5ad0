"""Telemetry that is kept in memory, and ways to read it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord

PATIENCE_S = 10.0
"""How long a condition is awaited before the test fails; nothing normally takes a hundredth of it."""


class KeptSpans(SpanExporter):
    """Keeps ended spans, and lets a test wait for them: abandoned streams are reported by a thread of their own."""

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []
        self._changed = threading.Condition()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._changed:
            self._spans.extend(spans)
            self._changed.notify_all()
        return SpanExportResult.SUCCESS

    def ended(self, count: int) -> list[ReadableSpan]:
        """The spans so far, once there are at least `count`; more than that is a failure of the test."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._spans) >= count, PATIENCE_S)
            spans = list(self._spans)
        assert len(spans) == count, [span.name for span in spans]
        return spans


class Recorded:
    """One set of in-memory providers, and what arrived at them."""

    def __init__(self) -> None:
        self._spans = KeptSpans()
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self._reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider(metric_readers=[self._reader], shutdown_on_exit=False)
        self._logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        self.logger_provider = LoggerProvider(shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))

    @property
    def providers(self) -> dict[str, Any]:
        """Keyword arguments for `instrument()`."""
        return {
            "tracer_provider": self.tracer_provider,
            "meter_provider": self.meter_provider,
            "logger_provider": self.logger_provider,
        }

    def spans(self, count: int) -> list[ReadableSpan]:
        """The `count` spans that have ended; waits for them."""
        return self._spans.ended(count)

    def span(self) -> ReadableSpan:
        """The one span that has ended."""
        return self.spans(1)[0]

    def events(self) -> list[ReadableLogRecord]:
        """The events so far."""
        return list(self._logs.get_finished_logs())

    def metrics(self) -> dict[str, list[Any]]:
        """Data points by metric name."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def schema_urls(self) -> set[str | None]:
        """Of the scopes that wrote metrics."""
        data = self._reader.get_metrics_data()
        return {
            scope.schema_url for resource in (data.resource_metrics if data else ()) for scope in resource.scope_metrics
        }


def attribute(span: ReadableSpan, name: str) -> Any:
    """One attribute of a span, which must have it."""
    assert span.attributes is not None
    return span.attributes[name]
