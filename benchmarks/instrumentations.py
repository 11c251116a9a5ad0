"""The instrumentations that are compared: none, a hand-written one, and this package under several settings.

`peer_setups.py` has those of other authors. Each writes to a real SDK, whose batch processors export to memory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CHUNK_METRICS = "OTEL_GENAI_CHUNK_METRICS"


class Kept:
    """An SDK that keeps everything in memory."""

    def __init__(self, *, sampled: bool = True) -> None:
        self.spans = InMemorySpanExporter()
        self.logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        self.metrics = InMemoryMetricReader()
        self.sampled = sampled
        self.span_processor = BatchSpanProcessor(self.spans)
        self.log_processor = BatchLogRecordProcessor(self.logs)

    def providers(self) -> dict[str, Any]:
        """Providers that write to it, as keyword arguments of an instrumentor."""
        tracers = TracerProvider(sampler=ALWAYS_ON if self.sampled else ALWAYS_OFF, shutdown_on_exit=False)
        tracers.add_span_processor(self.span_processor)
        loggers = LoggerProvider(shutdown_on_exit=False)
        loggers.add_log_record_processor(self.log_processor)
        meters = MeterProvider(metric_readers=[self.metrics], shutdown_on_exit=False)
        return {"tracer_provider": tracers, "meter_provider": meters, "logger_provider": loggers}

    def set_globally(self) -> dict[str, Any]:
        """The same, also as OpenTelemetry's own."""
        providers = self.providers()
        trace.set_tracer_provider(providers["tracer_provider"])
        metrics.set_meter_provider(providers["meter_provider"])
        _logs.set_logger_provider(providers["logger_provider"])
        return providers

    def flush(self) -> None:
        """Export everything that is queued."""
        self.span_processor.force_flush()
        self.log_processor.force_flush()


@dataclass(frozen=True)
class Instrumentation:
    """One way to instrument."""

    switch_on: Callable[[Kept], None]
    sampled: bool = True
    """Whether spans are recorded. A cell that expects spans and finds none fails."""
    environment: Mapping[str, str] = field(default_factory=dict)


def switched_on(instrumentation: Instrumentation) -> Kept:
    """Instrument this process. Returns the SDK that receives the telemetry."""
    os.environ.update(instrumentation.environment)
    kept = Kept(sampled=instrumentation.sampled)
    instrumentation.switch_on(kept)
    return kept


def _bare(_: Kept) -> None:
    pass


def _hand_written(kept: Kept) -> None:
    import hand_written

    hand_written.instrument(**kept.providers())


def _ours(kept: Kept) -> None:
    _instrument(**kept.providers())


def _instrument(**providers: Any) -> None:
    import otel_genai
    from otel_genai.guard import Guard

    Guard.strict = True  # what fails quietly would be quick
    otel_genai.instrument(**providers)


class _Unheeding(trace.NonRecordingSpan):
    """A recording span that drops everything at once."""

    def is_recording(self) -> bool:
        return True


class _UnheedingTracer(trace.NoOpTracer):
    def start_span(self, *_: Any, **__: Any) -> trace.Span:
        return _Unheeding(trace.INVALID_SPAN_CONTEXT)


class _UnheedingTracers(trace.NoOpTracerProvider):
    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        return _UnheedingTracer()


def _layer(*, tracers: trace.TracerProvider | None, meters: metrics.MeterProvider | None) -> Callable[[Kept], None]:
    # `None` is the SDK's.
    def switch_on(kept: Kept) -> None:
        providers = kept.providers()
        if tracers is not None:
            providers["tracer_provider"] = tracers
        if meters is not None:
            providers["meter_provider"] = meters
        _instrument(**providers)

    return switch_on


_NO_SPANS = trace.NoOpTracerProvider()
_NO_METRICS = metrics.NoOpMeterProvider()
_ALONE = {"OTEL_GENAI_PROPAGATE_CONTEXT": "false"}

LAYERS = {
    "no-sdk": Instrumentation(_layer(tracers=_NO_SPANS, meters=_NO_METRICS), sampled=False, environment=_ALONE),
    "sdk-metrics": Instrumentation(_layer(tracers=_NO_SPANS, meters=None), sampled=False, environment=_ALONE),
    "unheeded-spans": Instrumentation(
        _layer(tracers=_UnheedingTracers(), meters=None), sampled=False, environment=_ALONE
    ),
    "sdk-spans": Instrumentation(_layer(tracers=None, meters=None), environment=_ALONE),
}
"""Steps from this package without an SDK to the full setup; with trace context in the requests it would be `ours`."""

INSTRUMENTATIONS = {
    **LAYERS,
    "bare": Instrumentation(_bare, sampled=False),
    "hand-written": Instrumentation(_hand_written),
    "hand-written, not-sampled": Instrumentation(_hand_written, sampled=False),
    "ours": Instrumentation(_ours),
    "no-histogram": Instrumentation(_ours, environment={CHUNK_METRICS: "false"}),
    "not-sampled": Instrumentation(_ours, sampled=False),
    "not-sampled, no-histogram": Instrumentation(_ours, sampled=False, environment={CHUNK_METRICS: "false"}),
    "content-on": Instrumentation(_ours, environment={CAPTURE: "SPAN_AND_EVENT"}),
}
