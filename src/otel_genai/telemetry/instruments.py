"""The instruments of one instrumentation: created when there is something to measure, and bound to the attributes of operations."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics, trace
from opentelemetry.context import Context

from otel_genai.operation import Side
from otel_genai.semconv.metrics import ENGINE_METRICS, SECONDS, Kind, Measure
from otel_genai.telemetry.bound import UnboundInstrument, bind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_genai.config import Config
    from otel_genai.operation import EngineStats
    from otel_genai.semconv.metrics import EngineMetric, Metric
    from otel_genai.telemetry.engine_stats import EngineReports

    Instrument = metrics.Counter | metrics.Histogram
    Attributes = Mapping[str, Any]
    Group = tuple[Side, bool]
    """Operations that have the same instruments: their side, and whether they are inference."""
    Sinks = dict[Measure, list[tuple[Instrument, Mapping[str, str], bool]]]
    """Each instrument of a measure, its fixed attributes, and whether it takes seconds."""
    Bound = dict[Measure, list[tuple[UnboundInstrument, bool]]]
    """Each bound instrument of a measure, and whether it takes seconds."""

NO_SPAN: Final = trace.set_span_in_context(trace.INVALID_SPAN, Context())
"""The context of values that have no exemplar."""

# One operation of a model in this process is both a client's and a server's.
_SERVED: Final = {
    Side.CLIENT: frozenset({False}),
    Side.INTERNAL: frozenset({False, True}),
    Side.SERVER: frozenset({True}),
}

_BOUND_AT_MOST: Final = 1000
"""Sets of attributes that are remembered. Where there are more, most are new, and binding one costs more than it saves."""


class Instruments:
    """The instruments of the configured vintages. Most processes are clients alone, so none is created before its first value."""

    def __init__(self, scope: str, version: str, config: Config, meter_provider: metrics.MeterProvider | None) -> None:
        """`scope` names the instrumentation; without a provider, OpenTelemetry's global one is used."""
        self._direct = config.bound_metrics
        self._rows: list[tuple[Metric, metrics.Meter]] = []
        for vintage in config.vintages:
            meter = metrics.get_meter(scope, version, meter_provider, vintage.schema_url)
            earlier = tuple(metric for metric, _ in self._rows)
            self._rows += [
                (metric, meter)
                for metric in vintage.metrics
                # A row of two vintages is measured once.
                if not any(metric is row for row in earlier)
                and (config.chunk_metrics or metric.measure is not Measure.TIME_PER_OUTPUT_CHUNK)
            ]
        self._lock = RLock()
        self._instruments: dict[tuple[metrics.Meter, str], Instrument] = {}
        self.sinks: dict[Group, Sinks] = {}
        """The instruments that exist, by the operations that they are for."""
        self._bound: dict[tuple[object, ...], Bound] = {}
        self._stats_scope = scope, meter_provider
        self.reports: EngineReports | None = None
        """The reports of engines, which gauges and counters read, once these exist."""
        self._batch_tokens: metrics.Histogram
        self._batches: dict[tuple[object, ...], UnboundInstrument] = {}

    def create_sinks(self, side: Side, inference: bool) -> Sinks:
        """Create the instruments of these operations."""
        sinks: Sinks = {}
        with self._lock:
            for metric, meter in self._rows:
                if metric.served in _SERVED[side] and metric.inference in {None, inference}:
                    sinks.setdefault(metric.measure, []).append(
                        (self._instrument(metric, meter), metric.attributes, metric.unit == SECONDS)
                    )
            self.sinks[side, inference] = sinks
        return sinks

    def bound_to(self, attributes: dict[str, Any], group: Group) -> Bound:
        """The instruments of these operations, bound to the attributes."""
        # Calls have few sets of attributes, and mostly one that is known.
        key = (group, *attributes.items())
        try:
            bound = self._bound.get(key)
        except TypeError:  # a value that is not hashable is no attribute: the SDK drops it with a warning
            return self._bind(self.sinks[group], attributes, keep=False)
        if bound is None:
            keep = len(self._bound) < _BOUND_AT_MOST
            bound = self._bind(self.sinks[group], attributes, keep=keep)
            if keep:
                self._bound[key] = bound
        return bound

    def create_engine_instruments(self) -> EngineReports:
        """Create the gauges, counters and the histogram of engines."""
        from otel_genai.telemetry import engine_stats

        with self._lock:
            reports = engine_stats.shared_reports(*self._stats_scope)
            _, meter = self._rows[0]
            for metric in ENGINE_METRICS:
                if metric.kind is Kind.HISTOGRAM:
                    self._batch_tokens = _histogram(meter, metric)
                elif metric.kind is Kind.GAUGE:
                    meter.create_observable_gauge(
                        metric.name, [_callback(reports, metric)], metric.unit, metric.description
                    )
                else:
                    meter.create_observable_counter(
                        metric.name, [_callback(reports, metric)], metric.unit, metric.description
                    )
            self.reports = reports
        return reports

    def close(self) -> None:
        """End the gauges of engines; their counters stay."""
        if self.reports is not None:
            self.reports.clear_states()

    def batch_tokens(self, stats: EngineStats, attributes: Attributes) -> UnboundInstrument:
        """The histogram of an engine's tokens in a step; `create_engine_instruments` has created it."""
        name = stats.provider, stats.model, stats.engine_index
        batch = self._batches.get(name)
        if batch is None:
            batch = self._batches[name] = bind(self._batch_tokens, attributes, NO_SPAN, direct=self._direct)
        return batch

    def _instrument(self, metric: Metric, meter: metrics.Meter) -> Instrument:
        # Two rows may share one instrument and differ in a fixed attribute; an instrument is created once.
        created = self._instruments.get((meter, metric.name))
        if created is None:
            created = self._instruments[meter, metric.name] = (
                meter.create_counter(metric.name, metric.unit, metric.description)
                if metric.kind is Kind.COUNTER
                else _histogram(meter, metric)
            )
        return created

    def _bind(self, sinks: Sinks, attributes: dict[str, Any], *, keep: bool) -> Bound:
        def bound(instrument: Instrument, fixed: Mapping[str, str]) -> UnboundInstrument:
            all_attributes = {**attributes, **fixed}
            if keep:
                return bind(instrument, all_attributes, NO_SPAN, direct=self._direct)
            write = instrument.add if isinstance(instrument, metrics.Counter) else instrument.record
            return UnboundInstrument(write, all_attributes, NO_SPAN)

        return {
            measure: [(bound(instrument, fixed), is_time) for instrument, fixed, is_time in rows]
            for measure, rows in sinks.items()
        }


def _histogram(meter: metrics.Meter, metric: Metric | EngineMetric) -> metrics.Histogram:
    return meter.create_histogram(
        metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.buckets
    )


def _callback(
    reports: EngineReports, metric: EngineMetric
) -> Callable[[metrics.CallbackOptions], list[metrics.Observation]]:
    def observations(_: metrics.CallbackOptions) -> list[metrics.Observation]:
        return [metrics.Observation(value, attributes) for value, attributes in reports.read(metric)]

    return observations
