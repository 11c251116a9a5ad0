"""The one writer: a finished operation becomes its span, event, measurements, and whatever observers make of it, here and nowhere else.

That is why span, histograms, recording and summary cannot disagree.
"""

from __future__ import annotations

import json
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import _logs, metrics, trace
from opentelemetry.context import Context

from otel_genai.guard import Guard
from otel_genai.operation import Side
from otel_genai.semconv import gen_ai, otel_genai
from otel_genai.semconv.metrics import ENGINE_LOAD, LATEST, SECONDS, Kind, Measure
from otel_genai.telemetry import completion_hook, content, observers, render
from otel_genai.telemetry.bound import BoundHistogram, UnboundInstrument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_genai.config import Config
    from otel_genai.operation import EngineStats, Operation, Request
    from otel_genai.semconv.metrics import LoadMetric, Metric
    from otel_genai.telemetry.engine_stats import Loads

    Instrument = metrics.Counter | metrics.Histogram
    Sinks = dict[Measure, list[tuple[Instrument, Mapping[str, str], bool]]]
    Bound = dict[Measure, list[tuple[UnboundInstrument, bool]]]

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

_BOUND_AT_MOST: Final = 1000
"""Sets of attributes that are remembered. Where there are more, they are mostly new, and to bind one costs more than it saves."""

_NO_SPAN: Final = trace.set_span_in_context(trace.INVALID_SPAN, Context())

_WRITING_STATUS: Final = Guard("a span does not say that it failed")
_WRITING_ATTRIBUTES: Final = Guard("a span lacks its attributes")
_WRITING_CONTENT: Final = Guard("a span lacks its prompt and answer")
_WRITING_PHASES: Final = Guard("a span lacks those of its phases")
_WRITING_FIRST: Final = Guard("nobody is told of the first generation")
_WRITING_EVENT: Final = Guard("an operation has no event")
_WRITING_METRICS: Final = Guard("an operation is missing from the metrics")
_WRITING_LOAD: Final = Guard("the metrics lack part of an engine's load")
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
        self._builds_content = config.captures_content or config.completion_hook is not None
        self.closed = False
        """Whether nothing is to begin any more. What has begun is still reported."""
        self._tracer = trace.get_tracer(scope, version, tracer_provider, LATEST.schema_url)
        self._logger = _logs.get_logger(scope, version, logger_provider, LATEST.schema_url)
        self._rows: list[tuple[Metric, metrics.Meter]] = []
        for vintage in config.vintages:
            meter = metrics.get_meter(scope, version, meter_provider, vintage.schema_url)
            told = tuple(metric for metric, _ in self._rows)
            self._rows += [
                (metric, meter)
                for metric in vintage.metrics
                # What is the same in two vintages is measured once.
                if not any(metric is row for row in told)
                and (config.chunk_metrics or metric.measure is not Measure.TIME_PER_OUTPUT_CHUNK)
            ]
        # Instruments are made when there is something to measure: most processes are clients alone, and have no engine.
        self._making = RLock()
        self._instruments: dict[tuple[metrics.Meter, str], Instrument] = {}
        self._sinks: dict[tuple[Side, bool], Sinks] = {}
        self._bound: dict[tuple[object, ...], Bound] = {}
        self._engines = scope, meter_provider
        self._loads: Loads | None = None
        self._batch_tokens: metrics.Histogram
        self._batches: dict[tuple[object, ...], BoundHistogram] = {}

    def close(self) -> None:
        """Let nothing begin any more. What has begun is still reported; how busy engines are is not."""
        self.closed = True
        if self._loads is not None:
            self._loads.forget_states()

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
        return self._builds_content and (self._config.completion_hook is not None or span.is_recording())

    def report(self, span: trace.Span, context: Context, operation: Operation) -> None:
        """Write all that there is to say about an operation, and end its span.

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
                event = self._describe(span, context, operation)
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
                self._tell_of_first(context, operation)
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
        always = operation.request.operation in {otel_genai.LOAD_MODEL, otel_genai.COLD_START}
        if not always and not self._config.phase_spans:
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

    def _measure(self, context: Context, operation: Operation, ended_ns: int) -> None:
        request = operation.request
        if request.function is not None or request.operation in otel_genai.OPERATIONS:
            return
        served_as = request.side, request.operation in gen_ai.INFERENCE
        sinks = self._sinks.get(served_as) or self._make_sinks(*served_as)
        known, bound = None, {}
        for measure, values, attributes in render.measurements(operation, sinks):
            if attributes is not known:
                known, bound = attributes, self._bound_to(attributes, served_as)
            for instrument, is_time in bound[measure]:
                # Times have exemplars, for they make somebody look for the trace.
                instrument.record(values, context if is_time else _NO_SPAN, ended_ns)

    def _bound_to(self, attributes: render.Attributes, served_as: tuple[Side, bool]) -> Bound:
        # Calls have few sets of attributes, and mostly one that was there before.
        key = (served_as, *attributes.items())
        try:
            bound = self._bound.get(key)
        except TypeError:  # a value that is none for an attribute: the SDK has its ways with it
            return _bind(self._sinks[served_as], attributes, keep=False)
        if bound is None:
            keep = len(self._bound) < _BOUND_AT_MOST
            bound = _bind(self._sinks[served_as], attributes, keep=keep)
            if keep:
                self._bound[key] = bound
        return bound

    def _make_sinks(self, side: Side, inference: bool) -> Sinks:
        # What is to be written of an operation, so that a call has only to walk it.
        sinks: Sinks = {}
        with self._making:
            for metric, meter in self._rows:
                if metric.served in _SERVED[side] and metric.inference in {None, inference}:
                    sinks.setdefault(metric.measure, []).append(
                        (self._instrument(metric, meter), metric.attributes, metric.unit == SECONDS)
                    )
            self._sinks[side, inference] = sinks
        return sinks

    def _instrument(self, metric: Metric, meter: metrics.Meter) -> Instrument:
        # Two rows may share one instrument and differ in a fixed attribute; an instrument is created once.
        made = self._instruments.get((meter, metric.name))
        if made is None:
            made = self._instruments[meter, metric.name] = (
                meter.create_counter(metric.name, metric.unit, metric.description)
                if metric.kind is Kind.COUNTER
                else _histogram(meter, metric)
            )
        return made

    def load(self, engine: object, load: EngineStats) -> None:
        """Take down what an engine tells of its load. Its gauges end with `engine`, which is not kept alive."""
        if self.closed:
            return
        with _WRITING_LOAD:
            loads = self._loads or self._listen_to_engines()
            attributes = loads.take(engine, load)
            if load.batch_tokens is not None:
                self._batch(load, attributes).record((load.batch_tokens,), _NO_SPAN, 0)

    def _batch(self, load: EngineStats, attributes: Mapping[str, Any]) -> BoundHistogram:
        name = load.provider, load.model, load.engine_index
        batch = self._batches.get(name)
        if batch is None:
            batch = self._batches[name] = BoundHistogram(self._batch_tokens, attributes, _NO_SPAN)
        return batch

    def _listen_to_engines(self) -> Loads:
        from otel_genai.telemetry import engine_stats

        with self._making:
            loads = engine_stats.shared(*self._engines)
            _, meter = self._rows[0]
            for metric in ENGINE_LOAD:
                if metric.kind is Kind.HISTOGRAM:
                    self._batch_tokens = _histogram(meter, metric)
                elif metric.kind is Kind.GAUGE:
                    meter.create_observable_gauge(
                        metric.name, [_observing(loads, metric)], metric.unit, metric.description
                    )
                else:
                    meter.create_observable_counter(
                        metric.name, [_observing(loads, metric)], metric.unit, metric.description
                    )
            self._loads = loads
        return loads


def _histogram(meter: metrics.Meter, metric: Metric | LoadMetric) -> metrics.Histogram:
    return meter.create_histogram(
        metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.buckets
    )


def _bind(sinks: Sinks, attributes: render.Attributes, *, keep: bool) -> Bound:
    def bound(instrument: Instrument, fixed: Mapping[str, str]) -> UnboundInstrument:
        told = {**attributes, **fixed}
        if isinstance(instrument, metrics.Counter):
            return UnboundInstrument(instrument.add, told, _NO_SPAN)
        return (
            BoundHistogram(instrument, told, _NO_SPAN) if keep else UnboundInstrument(instrument.record, told, _NO_SPAN)
        )

    return {
        measure: [(bound(instrument, fixed), is_time) for instrument, fixed, is_time in rows]
        for measure, rows in sinks.items()
    }


def _observing(loads: Loads, metric: LoadMetric) -> Callable[[metrics.CallbackOptions], list[metrics.Observation]]:
    def observe(_: metrics.CallbackOptions) -> list[metrics.Observation]:
        return [metrics.Observation(value, attributes) for value, attributes in loads.read(metric)]

    return observe
