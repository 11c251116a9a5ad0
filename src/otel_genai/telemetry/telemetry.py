"""The one writer: a finished operation becomes its span, event, measurements, and whatever observers make of it, here and nowhere else.

That is why span, histograms, recording and summary cannot disagree.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from opentelemetry import _logs, metrics, trace
from opentelemetry.context import Context

from otel_genai.guard import Guard
from otel_genai.operation import Side
from otel_genai.semconv import gen_ai, otel_genai
from otel_genai.semconv.metrics import LATEST, SECONDS, Kind, Measure
from otel_genai.telemetry import completion_hook, content, observers, render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_genai.config import Config
    from otel_genai.operation import Operation, Request
    from otel_genai.semconv.metrics import Metric, Vintage

    Instrument = metrics.Counter | metrics.Histogram
    Sinks = dict[Measure, list[tuple[Callable[..., None], Mapping[str, str], bool]]]

_SPAN_KIND: Final = {
    Side.CLIENT: trace.SpanKind.CLIENT,
    Side.INTERNAL: trace.SpanKind.INTERNAL,
    Side.SERVER: trace.SpanKind.SERVER,
}
# A model in this very process is asked here and served here.
_SERVED: Final = {
    Side.CLIENT: frozenset({False}),
    Side.INTERNAL: frozenset({False, True}),
    Side.SERVER: frozenset({True}),
}

_NO_SPAN: Final = trace.set_span_in_context(trace.INVALID_SPAN, Context())

_WRITING_STATUS: Final = Guard("a span does not say that it failed")
_WRITING_ATTRIBUTES: Final = Guard("a span lacks its attributes")
_WRITING_CONTENT: Final = Guard("a span lacks its prompt and answer")
_WRITING_PHASES: Final = Guard("a span lacks those of its phases")
_WRITING_FIRST: Final = Guard("nobody is told of the first generation")
_WRITING_EVENT: Final = Guard("an operation has no event")
_WRITING_METRICS: Final = Guard("an operation is missing from the metrics")
_ENDING: Final = Guard("a span was not ended")
_REDACTING: Final = Guard("an operation is reported without prompt and answer, since they could not be redacted")
_LIMITING: Final = Guard("an operation is reported without prompt and answer, since they could not be cut to length")
_HOOKING: Final = Guard("the completion hook missed an operation")


class Telemetry:
    """What one instrumentation writes to: a tracer, an event logger and the instruments of its vintages."""

    def __init__(
        self,
        scope: str,
        version: str,
        config: Config,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        logger_provider: _logs.LoggerProvider | None = None,
    ) -> None:
        """`scope` names the instrumentation; a provider that is not given is OpenTelemetry's global one."""
        self._config = config
        self._names_providers = config.provider is not None or bool(config.provider_names)
        self._captures_content = config.captures_content
        self.closed = False
        """Whether nothing is to begin any more. What has begun is still reported."""
        self._tracer = trace.get_tracer(scope, version, tracer_provider, LATEST.schema_url)
        self._logger = _logs.get_logger(scope, version, logger_provider, LATEST.schema_url)
        rows = [
            row
            for vintage in config.vintages
            for row in _instruments(vintage, metrics.get_meter(scope, version, meter_provider, vintage.schema_url))
            if config.chunk_metrics or row[0].measure is not Measure.TIME_PER_OUTPUT_CHUNK
        ]
        self._sinks = {
            (side, inference): _sinks(rows, inference=inference, served=served)
            for side, served in _SERVED.items()
            for inference in (True, False)
        }

    def start(self, request: Request, began_ns: int, within: Context | None = None) -> trace.Span:
        """Start the span of an operation that began at `began_ns` (wall clock, nanoseconds), under that of `within` or the current one."""
        return self._tracer.start_span(
            render.span_name(request),
            within,
            kind=_SPAN_KIND[request.side],
            attributes=render.creation_attributes(request),
            start_time=began_ns,
        )

    def addressed(self, request: Request) -> Request:
        """The request, under the provider's name that the user gave to its server, if any."""
        if not self._names_providers or request.side is not Side.CLIENT:
            return request
        provider = self._config.provider_of(request.server_address, request.server_port)
        return request if provider is None else request._replace(provider=provider)

    def wants_content(self, span: trace.Span) -> bool:
        """Whether prompt and answer are worth building: somebody wants them, and the span is recorded or a hook waits."""
        if self._config.completion_hook is not None:
            return True
        return self._captures_content and span.is_recording()

    def report(self, span: trace.Span, context: Context, operation: Operation) -> None:
        """Write all that there is to say about an operation, and end its span.

        `context` is the one in which the span is current; exemplars and events refer to it.
        """
        recording = span.is_recording()
        has_content = content.has_content(operation)
        if has_content:
            operation = self._redacted(operation)
        event: _logs.LogRecord | None = None
        if recording:
            if operation.failure is not None:
                with _WRITING_STATUS:
                    span.set_status(trace.StatusCode.ERROR, operation.failure.summary)
            with _WRITING_ATTRIBUTES:
                event = self._describe(span, context, operation)
        if self._config.completion_hook is not None:
            with _HOOKING:
                completion_hook.call(self._config.completion_hook, operation, span, event)
        if has_content:
            operation = self._limited(operation)
            if recording:
                with _WRITING_CONTENT:
                    self._write_content(span, event, operation)
        if recording:
            if event is not None or operation.failure is not None:
                with _WRITING_EVENT:
                    self._emit(context, event, operation)
            if operation.timing.phases:
                with _WRITING_PHASES:
                    self._write_phases(context, operation)
        if operation.request.side is not Side.CLIENT:
            with _WRITING_FIRST:
                self._tell_of_first(context, operation)
        with _WRITING_METRICS:
            self._measure(context, operation)
        with _ENDING:
            span.end(operation.timing.ended_ns)
        observers.notify(operation, span)

    def _redacted(self, operation: Operation) -> Operation:
        if self._config.redact is None:
            return operation
        with _REDACTING:
            return content.redacted(operation, self._config.redact)
        return content.without(operation)

    def _limited(self, operation: Operation) -> Operation:
        if self._config.captures_content:
            with _LIMITING:
                return content.limited(operation, self._config.content_limit)
        return content.without(operation)  # also where it was built for the hook alone

    def _describe(self, span: trace.Span, context: Context, operation: Operation) -> _logs.LogRecord | None:
        # Returns the event that is to be emitted when it has its content, if any.
        outcome = render.outcome_attributes(operation)
        span.set_attributes(outcome)
        if not self._config.emit_event or operation.request.subject not in gen_ai.INFERENCE:
            return None
        return _logs.LogRecord(
            timestamp=operation.timing.ended_ns,
            context=context,
            severity_number=_logs.SeverityNumber.DEBUG,
            event_name=gen_ai.DETAILS_EVENT,
            attributes=render.creation_attributes(operation.request) | outcome,
        )

    def _write_content(self, span: trace.Span, event: _logs.LogRecord | None, operation: Operation) -> None:
        written = render.content(operation)
        if self._config.content_on_spans:
            # As JSON: structured span attributes are newer than the oldest SDK we support, and than most backends.
            span.set_attributes({name: json.dumps(value, ensure_ascii=False) for name, value in written.items()})
        if self._config.content_on_events and event is not None:
            event.attributes = {**(event.attributes or {}), **written}

    def _emit(self, context: Context, event: _logs.LogRecord | None, operation: Operation) -> None:
        if event is not None:
            self._logger.emit(event)
        if operation.failure is not None and operation.request.side is not Side.INTERNAL:
            self._logger.emit(
                _logs.LogRecord(
                    timestamp=operation.timing.ended_ns,
                    context=context,
                    severity_number=_logs.SeverityNumber.WARN,
                    event_name=gen_ai.EXCEPTION_EVENT,
                    attributes=render.exception_attributes(operation),
                )
            )

    def _write_phases(self, context: Context, operation: Operation) -> None:
        timing = operation.timing
        if not self._config.phase_spans and operation.request.operation != otel_genai.LOAD_MODEL:
            return
        for phase in timing.phases:
            span = self._tracer.start_span(phase.name, context, start_time=timing.wall_ns(phase.started))
            span.end(timing.wall_ns(phase.ended))

    def _tell_of_first(self, context: Context, operation: Operation) -> None:
        if operation.failure is not None or operation.unfinished or operation.request.operation not in gen_ai.INFERENCE:
            return
        from otel_genai.telemetry import process_start

        if process_start.first_time():
            self._logger.emit(
                _logs.LogRecord(
                    timestamp=operation.timing.ended_ns,
                    context=context,
                    severity_number=_logs.SeverityNumber.INFO,
                    event_name=otel_genai.FIRST_GENERATION_EVENT,
                    attributes=render.first_generation_attributes(
                        operation, process_start.seconds_until(operation.timing.ended_ns)
                    ),
                )
            )

    def _measure(self, context: Context, operation: Operation) -> None:
        request = operation.request
        if request.function is not None or request.operation in otel_genai.OPERATIONS:
            return
        sinks = self._sinks[request.side, request.operation in gen_ai.INFERENCE]
        for measure, values, attributes in render.measurements(operation, sinks):
            largest = max(values)
            for write, fixed, is_time in sinks[measure]:
                told = {**attributes, **fixed} if fixed else attributes
                for value in values:
                    # An exemplar is a seventh more to pay for. Times have one, for they make somebody look for the trace; of the many
                    # between the chunks of a stream, the longest.
                    write(value, told, context if is_time and value is largest else _NO_SPAN)


def _sinks(rows: Sequence[tuple[Metric, Instrument]], *, inference: bool, served: frozenset[bool]) -> Sinks:
    # What is to be written of an operation, so that a call has only to walk it.
    sinks: Sinks = {}
    for metric, instrument in rows:
        if metric.served in served and metric.inference in {None, inference}:
            write = instrument.add if isinstance(instrument, metrics.Counter) else instrument.record
            sinks.setdefault(metric.measure, []).append((write, metric.attributes, metric.unit == SECONDS))
    return sinks


def _instruments(vintage: Vintage, meter: metrics.Meter) -> list[tuple[Metric, Instrument]]:
    # Two rows may share one instrument and differ in a fixed attribute; an instrument is created once.
    made: dict[str, Instrument] = {}
    rows: list[tuple[Metric, Instrument]] = []
    for metric in vintage.metrics:
        if metric.name not in made:
            made[metric.name] = (
                meter.create_counter(metric.name, metric.unit, metric.description)
                if metric.kind is Kind.COUNTER
                else meter.create_histogram(
                    metric.name,
                    metric.unit,
                    metric.description,
                    explicit_bucket_boundaries_advisory=metric.buckets,
                )
            )
        rows.append((metric, made[metric.name]))
    return rows
