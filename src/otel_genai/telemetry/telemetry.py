"""The one writer: a finished operation becomes its span, its events and its measurements here, and goes from here to observers.

That is why span, histograms, recording and summary cannot disagree.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from opentelemetry import _logs, trace

from otel_genai.guard import Guard
from otel_genai.operation import Side
from otel_genai.semconv import gen_ai, otel_genai
from otel_genai.semconv.metrics import LATEST
from otel_genai.telemetry import completion_hook, content, observers, render
from otel_genai.telemetry.instruments import NO_SPAN, Instruments

if TYPE_CHECKING:
    from opentelemetry import metrics
    from opentelemetry.context import Context

    from otel_genai.config import Config
    from otel_genai.operation import EngineStats, Operation, Request
    from otel_genai.telemetry.instruments import Bound

_SPAN_KIND: Final = {
    Side.CLIENT: trace.SpanKind.CLIENT,
    Side.INTERNAL: trace.SpanKind.INTERNAL,
    Side.SERVER: trace.SpanKind.SERVER,
}

_WRITING_STATUS: Final = Guard("a span does not say that it failed")
_WRITING_ATTRIBUTES: Final = Guard("a span lacks its attributes")
_WRITING_CONTENT: Final = Guard("a span lacks its prompt and answer")
_WRITING_PHASES: Final = Guard("a span lacks the spans of its phases")
_WRITING_FIRST: Final = Guard("the event of the first generation is missing")
_WRITING_EVENT: Final = Guard("an operation has no event")
_WRITING_METRICS: Final = Guard("an operation is missing from the metrics")
_WRITING_ENGINE_STATS: Final = Guard("the metrics lack part of an engine's load")
_ENDING: Final = Guard("a span was not ended")
_REDACTING: Final = Guard("an operation is reported without prompt and answer, since they could not be redacted")
_LIMITING: Final = Guard("an operation is reported without prompt and answer, since they could not be cut to length")
_HOOKING: Final = Guard("the completion hook missed an operation")


class Telemetry:
    """Writes the operations of one instrumentation: a tracer, an event logger and the instruments of its vintages."""

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
        """`scope` names the instrumentation; a provider that is not passed is OpenTelemetry's global one."""
        self._config = config
        self._names_providers = config.provider is not None or bool(config.provider_names)
        self._builds_content = config.captures_content or config.completion_hook is not None
        self.closed = False
        """Whether no operation begins any more. Operations that have begun are still reported."""
        self._tracer = trace.get_tracer(scope, version, tracer_provider, LATEST.schema_url)
        self._logger = _logs.get_logger(scope, version, logger_provider, LATEST.schema_url)
        self._instruments = Instruments(scope, version, config, meter_provider)

    def close(self) -> None:
        """Let no operation begin any more. Operations that have begun are still reported; the state of engines is not."""
        self.closed = True
        self._instruments.close()

    def start(self, request: Request, began_ns: int, within: Context | None = None) -> trace.Span:
        """Start the span of an operation that began at `began_ns` (wall clock, nanoseconds), under that of `within` or the current one."""
        return self._tracer.start_span(
            render.span_name(request),
            within,
            kind=_SPAN_KIND[request.side],
            attributes=render.creation_attributes(request),
            start_time=began_ns,
        )

    def with_provider_name(self, request: Request) -> Request:
        """The request, with the provider's name that the user has set for its server, if any."""
        if not self._names_providers or request.side is not Side.CLIENT:
            return request
        provider = self._config.provider_of(request.server_address, request.server_port)
        return request if provider is None else request._replace(provider=provider)

    def wants_content(self, span: trace.Span) -> bool:
        """Whether prompt and answer are worth building: they are captured and the span is recording, or a hook receives them."""
        return self._builds_content and (self._config.completion_hook is not None or span.is_recording())

    def report(self, span: trace.Span, context: Context, operation: Operation) -> None:
        """Write everything about a finished operation, and end its span.

        `context` is the one in which the span is current; exemplars and events refer to it.
        """
        recording = span.is_recording()
        ended_ns = operation.timing.ended_ns
        has_content = self._builds_content and content.has_content(operation)
        if has_content:
            operation = self._redacted(operation)
        event: _logs.LogRecord | None = None
        if recording:
            if operation.failure is not None:
                with _WRITING_STATUS:
                    span.set_status(trace.StatusCode.ERROR, operation.failure.summary)
            try:
                event = self._write_attributes(span, context, operation)
            except Exception as error:
                if not _WRITING_ATTRIBUTES.takes(error):
                    raise
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
                self._emit_first_generation(context, operation)
        try:
            self._measure(context, operation, ended_ns)
        except Exception as error:
            if not _WRITING_METRICS.takes(error):
                raise
        try:
            span.end(ended_ns)
        except Exception as error:
            if not _ENDING.takes(error):
                raise
        observers.notify(operation, span)

    def report_engine(self, engine: object, stats: EngineStats) -> None:
        """Write an engine's statistics. Its gauges end with `engine`, which is not kept alive."""
        if self.closed:
            return
        with _WRITING_ENGINE_STATS:
            instruments = self._instruments
            reports = instruments.reports or instruments.create_engine_instruments()
            attributes = reports.add(engine, stats)
            if stats.batch_tokens is not None:
                instruments.batch_tokens(stats, attributes).record((stats.batch_tokens,), NO_SPAN, 0)

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

    def _write_attributes(self, span: trace.Span, context: Context, operation: Operation) -> _logs.LogRecord | None:
        # Returns the event, if there is to be one; it is emitted when it has its content.
        outcome = render.outcome_attributes(operation)
        span.set_attributes(outcome)
        if not self._config.emit_event or operation.request.kind not in gen_ai.INFERENCE:
            return None
        return _logs.LogRecord(
            timestamp=operation.timing.ended_ns,
            context=context,
            severity_number=_logs.SeverityNumber.DEBUG,
            event_name=gen_ai.DETAILS_EVENT,
            attributes=render.creation_attributes(operation.request) | outcome,
        )

    def _write_content(self, span: trace.Span, event: _logs.LogRecord | None, operation: Operation) -> None:
        attributes = render.content(operation)
        if self._config.content_on_spans:
            # As JSON: structured span attributes are newer than the oldest SDK that we support, and than most backends.
            span.set_attributes({name: json.dumps(value, ensure_ascii=False) for name, value in attributes.items()})
        if self._config.content_on_events and event is not None:
            event.attributes = {**(event.attributes or {}), **attributes}

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
        always = operation.request.operation in {otel_genai.LOAD_MODEL, otel_genai.COLD_START}
        if not always and not self._config.phase_spans:
            return
        for phase in timing.phases:
            span = self._tracer.start_span(phase.name, context, start_time=timing.wall_ns(phase.started))
            span.end(timing.wall_ns(phase.ended))

    def _emit_first_generation(self, context: Context, operation: Operation) -> None:
        if operation.failure is not None or operation.unfinished or operation.request.operation not in gen_ai.INFERENCE:
            return
        from otel_genai.telemetry import process_start

        if process_start.is_first():
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

    def _measure(self, context: Context, operation: Operation, ended_ns: int) -> None:
        request = operation.request
        if request.function is not None or request.operation in otel_genai.OPERATIONS:
            return
        instruments = self._instruments
        group = request.side, request.operation in gen_ai.INFERENCE
        sinks = instruments.sinks.get(group) or instruments.create_sinks(*group)
        bound_attributes: render.Attributes | None = None
        bound: Bound = {}
        for measure, values, attributes in render.measurements(operation, sinks):
            if attributes is not bound_attributes:
                bound_attributes, bound = attributes, instruments.bound_to(attributes, group)
            for instrument, is_time in bound[measure]:
                # Times have exemplars: a slow one makes its reader look for the trace.
                instrument.record(values, context if is_time else NO_SPAN, ended_ns)
