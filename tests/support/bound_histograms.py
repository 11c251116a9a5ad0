"""An SDK with one histogram, written to directly or through the API, and the settings in which both must agree."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    SumAggregation,
    View,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from otel_genai.telemetry.bound import BoundHistogram, UnboundInstrument

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics.export import MetricReader

NO_SPAN = trace.set_span_in_context(trace.INVALID_SPAN, Context())
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "server.port": 443}
OTHER = CHAT | {"gen_ai.request.model": "n"}
BOUNDARIES = (1.0, 2.0, 4.0, 8.0)
AT_NS = 1_700_000_000_000_000_000


class Metrics:
    """An SDK with a histogram, and its data points."""

    def __init__(self, *readers: MetricReader, **options: Any) -> None:
        self.readers = list(readers)
        self.provider = MeterProvider(readers, shutdown_on_exit=False, **options)
        self.histogram: Any = self.provider.get_meter("toy").create_histogram(
            "h", explicit_bucket_boundaries_advisory=BOUNDARIES
        )

    def bound(self, attributes: dict[str, Any] = CHAT) -> UnboundInstrument:
        return BoundHistogram(self.histogram, attributes, NO_SPAN)

    def unbound(self, attributes: dict[str, Any] = CHAT) -> UnboundInstrument:
        return UnboundInstrument(self.histogram.record, attributes, NO_SPAN)

    def collected(self) -> list[Any]:
        """All data points of all readers since the last collection, by reader, without their times."""
        return [
            (metric.name, type(metric.data), replace(point, start_time_unix_nano=0, time_unix_nano=0))
            for reader in self.readers
            for metric, point in points(reader)
        ]


def points(reader: Any) -> list[tuple[Any, Any]]:
    data = reader.get_metrics_data()
    return [
        (metric, point)
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        if scope.scope.name == "toy"  # SDK 1.41 has metrics of its own
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


def cumulative() -> InMemoryMetricReader:
    return InMemoryMetricReader()


def delta() -> InMemoryMetricReader:
    return InMemoryMetricReader(preferred_temporality={Histogram: AggregationTemporality.DELTA})


READERS: dict[str, tuple[Callable[[], InMemoryMetricReader], ...]] = {
    "cumulative": (cumulative,),
    "delta": (delta,),
    "both": (cumulative, delta),
    "both, the other way round": (delta, cumulative),
    "two": (delta, delta),
    "none": (),
}
VIEWS: dict[str, tuple[View, ...]] = {
    "none": (),
    "renamed": (View(instrument_name="h", name="other"),),
    "fewer attributes": (View(instrument_name="h", attribute_keys={"gen_ai.operation.name"}),),
    "no attributes": (View(instrument_name="h", attribute_keys=set()),),
    "other boundaries": (View(instrument_name="h", aggregation=ExplicitBucketHistogramAggregation((0.0, 3.0))),),
    "no boundaries": (View(instrument_name="h", aggregation=ExplicitBucketHistogramAggregation(())),),
    "no extremes": (
        View(instrument_name="h", aggregation=ExplicitBucketHistogramAggregation(BOUNDARIES, record_min_max=False)),
    ),
    "dropped": (View(instrument_name="h", aggregation=DropAggregation()),),
    "exponential": (View(instrument_name="h", aggregation=ExponentialBucketHistogramAggregation()),),
    "sum": (View(instrument_name="h", aggregation=SumAggregation()),),
    "two": (
        View(instrument_name="h"),
        View(instrument_name="h", name="other", aggregation=ExplicitBucketHistogramAggregation((0.0, 3.0))),
    ),
    "dropped here, kept there": (
        View(instrument_name="h", aggregation=DropAggregation()),
        View(instrument_name="h", name="other"),
    ),
    "two, one of which is exponential": (
        View(instrument_name="h"),
        View(instrument_name="h", name="other", aggregation=ExponentialBucketHistogramAggregation()),
    ),
}


def in_a_span(sampler: Any = ALWAYS_ON) -> Context:
    span = TracerProvider(sampler=sampler, shutdown_on_exit=False).get_tracer("toy").start_span("s")
    return trace.set_span_in_context(span, Context())


def exemplars(metrics: Metrics) -> list[tuple[float, int | None, Any]]:
    return [
        (exemplar.value, exemplar.span_id, exemplar.filtered_attributes)
        for reader in metrics.readers
        for _, point in points(reader)
        for exemplar in point.exemplars
    ]
