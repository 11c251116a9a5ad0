"""Bound histograms: what they make of values is what the SDK makes of them one by one, and they do it by themselves."""

from __future__ import annotations

import itertools
import random
import threading
from dataclasses import replace
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest
import wrapt
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.metrics._internal import _ProxyMeterProvider
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, AlwaysOnExemplarFilter, Histogram, MeterProvider
from opentelemetry.sdk.metrics._internal.aggregation import _ExplicitBucketHistogramAggregation
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    SumAggregation,
    View,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from otel_genai.config import Config
from otel_genai.operation import Operation, Request, Response, Side, Timing, Usage
from otel_genai.telemetry.bound import BoundHistogram, UnboundInstrument
from otel_genai.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.metrics.export import MetricReader

    from tests.support.providers import Recorded

NO_SPAN = trace.set_span_in_context(trace.INVALID_SPAN, Context())
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "server.port": 443}
OTHER = CHAT | {"gen_ai.request.model": "n"}
BOUNDARIES = (1.0, 2.0, 4.0, 8.0)
AT_NS = 1_700_000_000_000_000_000

CAN_CHANGE_READERS = pytest.mark.skipif(
    not hasattr(MeterProvider, "add_metric_reader"), reason="this version of the SDK has its readers for good"
)


class Metrics:
    """An SDK with a histogram, and what is written to it."""

    def __init__(self, *readers: MetricReader, **options: Any) -> None:
        self.readers = list(readers)
        self.provider = MeterProvider(readers, shutdown_on_exit=False, **options)
        self.histogram: Any = self.provider.get_meter("toy").create_histogram(
            "h", explicit_bucket_boundaries_advisory=BOUNDARIES
        )

    def bound(self, attributes: dict[str, Any] = CHAT) -> UnboundInstrument:
        return BoundHistogram(self.histogram, attributes, NO_SPAN)

    def one_by_one(self, attributes: dict[str, Any] = CHAT) -> UnboundInstrument:
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
        if scope.scope.name == "toy"  # 1.41 has metrics of its own
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


def cumulative() -> InMemoryMetricReader:
    return InMemoryMetricReader()


def delta() -> InMemoryMetricReader:
    return InMemoryMetricReader(preferred_temporality={Histogram: AggregationTemporality.DELTA})


@pytest.fixture
def recorded_by_api(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every value that the SDK's own `record` is given."""
    from opentelemetry.sdk.metrics._internal.instrument import _Histogram

    told: list[float] = []
    record = _Histogram.record

    def recording(self: Any, amount: float, *args: Any, **kwargs: Any) -> None:
        if self.instrumentation_scope.name == "toy":
            told.append(amount)
        record(self, amount, *args, **kwargs)

    monkeypatch.setattr(_Histogram, "record", recording)
    return told


# ── the same data points ───────────────────────────────────────────────────────────────────────────────────────────────


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
NOT_UNDERSTOOD = {"exponential", "sum", "two, one of which is exponential"}
# In quarters, so that sums are exact in whatever order. Between the rounds, metrics are collected.
ROUNDS: tuple[tuple[tuple[dict[str, Any], Sequence[float]], ...], ...] = (
    ((CHAT, [3.25]),),
    ((CHAT, [0.5, 9.0, 2.25]), (OTHER, [0.25, 0.25]), (CHAT, [7.75])),
    ((CHAT, list(BOUNDARIES)), (CHAT, [0.0, 0, 1, 2, 100]), (OTHER, [1.0])),
    (),
    ((CHAT, [2.25] * 3), (CHAT, [1000.0])),
    ((OTHER, [8.25, 8.0]), (CHAT, (0.75,))),
)


@pytest.mark.parametrize("views", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("readers", READERS.values(), ids=READERS)
def test_data_points_are_those_of_values_recorded_one_by_one(
    readers: Sequence[Callable[[], InMemoryMetricReader]], views: Sequence[View]
) -> None:
    expected, found = (Metrics(*(reader() for reader in readers), views=views) for _ in range(2))
    bound = {id(attributes): found.bound(attributes) for attributes in (CHAT, OTHER)}
    for told in ROUNDS:
        for attributes, values in told:
            expected.one_by_one(attributes).record(values, NO_SPAN, AT_NS)
            bound[id(attributes)].record(values, NO_SPAN, AT_NS)
        assert found.collected() == expected.collected()


def test_the_data_point_of_a_few_values() -> None:
    found = Metrics(cumulative())
    bound = found.bound()
    bound.record([3], NO_SPAN, AT_NS)
    bound.record([2.0, 0.5, 16.0, 2.25, 1.0], NO_SPAN, AT_NS)
    ((_, _, point),) = found.collected()
    assert point.bucket_counts == (2, 1, 2, 0, 1)
    assert (point.count, point.sum, point.min, point.max) == (6, 24.75, 0.5, 16.0)
    assert point.attributes == CHAT


@pytest.mark.parametrize("views", VIEWS.items(), ids=VIEWS)
def test_of_a_thousand_values_one_is_recorded_through_the_api(
    views: tuple[str, Sequence[View]], recorded_by_api: list[float]
) -> None:
    what, given = views
    found = Metrics(cumulative(), delta(), views=given)
    bound = found.bound()
    bound.record([value / 4 for value in range(1000)], NO_SPAN, AT_NS)
    bound.record([1.0], NO_SPAN, AT_NS)
    assert len(recorded_by_api) == (1001 if what in NOT_UNDERSTOOD else 1)


def test_after_a_collection_that_threw_it_away_the_sdk_makes_an_aggregation_anew(recorded_by_api: list[float]) -> None:
    found = Metrics(cumulative(), delta())
    bound = found.bound()
    for _ in range(3):
        bound.record([1.0] * 10, NO_SPAN, AT_NS)
        recorded = [point.count for _, _, point in found.collected()]
    assert recorded == [30, 10]
    # Versions before 1.45.2 keep it.
    assert len(recorded_by_api) in {1, 3}


def test_a_set_of_attributes_that_the_sdk_has_known_for_long(recorded_by_api: list[float]) -> None:
    found = Metrics(cumulative())
    for attributes in (OTHER, CHAT, {}):
        found.histogram.record(1.0, attributes)
    found.bound().record([2.0, 4.0], NO_SPAN, AT_NS)
    assert [(point.attributes, point.sum) for _, _, point in found.collected()] == [
        (OTHER, 1.0),
        (CHAT, 7.0),
        ({}, 1.0),
    ]
    assert recorded_by_api == [1.0, 1.0, 1.0, 2.0]


@CAN_CHANGE_READERS
def test_readers_come_and_go(recorded_by_api: list[float]) -> None:
    expected, found = Metrics(cumulative()), Metrics(cumulative())
    one_by_one, bound = expected.one_by_one(), found.bound()

    def record(*values: float) -> None:
        one_by_one.record(values, NO_SPAN, AT_NS)
        bound.record(values, NO_SPAN, AT_NS)

    record(1.0, 2.0)
    for metrics in (expected, found):
        metrics.readers.append(cumulative())
        metrics.provider.add_metric_reader(metrics.readers[1])
    record(3.0)
    record(4.0, 5.0)
    assert [point.count for _, _, point in found.collected()] == [5, 3]
    assert found.collected() == expected.collected()
    for metrics in (expected, found):
        metrics.provider.remove_metric_reader(metrics.readers.pop(0))
    record(6.0)
    record(7.0, 8.0)
    assert [point.count for _, _, point in found.collected()] == [6]
    assert found.collected() == expected.collected()
    # Of each thirteen: all eight one by one, and one for each set of readers.
    assert len(recorded_by_api) == 8 + 3


def test_beyond_the_limit_of_cardinality_data_points_are_the_same_too() -> None:
    expected, found = Metrics(cumulative(), delta()), Metrics(cumulative(), delta())
    bound = [found.bound({"set": number}) for number in range(2010)]
    for _ in range(2):
        for number, histogram in enumerate(bound):
            expected.one_by_one({"set": number}).record([1.0, 2.5], NO_SPAN, AT_NS)
            histogram.record([1.0, 2.5], NO_SPAN, AT_NS)
        assert found.collected() == expected.collected()


def test_a_set_of_attributes_that_was_kept_apart_may_be_beyond_the_limit_after_a_collection() -> None:
    expected, found = Metrics(delta()), Metrics(delta())
    bound = found.bound()
    bound.record([1.0], NO_SPAN, AT_NS)
    expected.one_by_one().record([1.0], NO_SPAN, AT_NS)
    assert found.collected() == expected.collected()
    for number, metrics in itertools.product(range(2010), (expected, found)):
        metrics.histogram.record(1.0, {"set": number}, NO_SPAN)
    bound.record([1.0, 2.0, 3.0], NO_SPAN, AT_NS)
    expected.one_by_one().record([1.0, 2.0, 3.0], NO_SPAN, AT_NS)
    assert found.collected() == expected.collected()


@pytest.mark.parametrize("value", [-1.0, inf, nan], ids=str)
def test_what_the_sdk_refuses_is_left_to_it(value: float, caplog: pytest.LogCaptureFixture) -> None:
    expected, found = Metrics(cumulative()), Metrics(cumulative())
    warnings = []
    for histogram in (expected.one_by_one(), found.bound()):
        caplog.clear()
        for values in ([1.0], [value, 2.0], [value], [2.0, value, 3.0]):
            histogram.record(values, NO_SPAN, AT_NS)
        warnings.append([record.getMessage() for record in caplog.records])
    assert warnings[0] == warnings[1]
    # As text, for what is not a number is not equal to itself.
    assert repr(found.collected()) == repr(expected.collected())


# ── exemplars ──────────────────────────────────────────────────────────────────────────────────────────────────────────


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


@pytest.mark.parametrize("views", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF], ids=["sampled", "not sampled"])
@pytest.mark.parametrize(
    "exemplar_filter", [None, AlwaysOffExemplarFilter(), AlwaysOnExemplarFilter()], ids=["default", "off", "on"]
)
def test_exemplars_are_those_of_values_recorded_one_by_one(
    views: Sequence[View], sampler: Any, exemplar_filter: Any
) -> None:
    expected, found = (Metrics(cumulative(), delta(), views=views, exemplar_filter=exemplar_filter) for _ in range(2))
    one_by_one, bound = expected.one_by_one(), found.bound()
    context = in_a_span(sampler)
    for values in ([7.5, 1.5], [1.5], [3.0, 1.5, 7.0, 5.0], [0.25, 0.5], [9.0]):
        for histogram in (one_by_one, bound):
            random.seed(1)  # exponential histograms keep some of all
            histogram.record(values, context, AT_NS)
        assert exemplars(found) == exemplars(expected)


def test_the_exemplar_is_the_largest_value_and_leads_to_the_span(recorded_by_api: list[float]) -> None:
    found = Metrics(cumulative(), views=[View(instrument_name="h", attribute_keys={"gen_ai.operation.name"})])
    bound, context = found.bound(), in_a_span()
    bound.record([1.0], NO_SPAN, AT_NS)
    assert exemplars(found) == []
    bound.record([2.0, 7.0, 3.0], context, AT_NS)
    ((_, point),) = points(found.readers[0])
    (exemplar,) = point.exemplars
    span = trace.get_current_span(context).get_span_context()
    assert (exemplar.value, exemplar.time_unix_nano) == (7.0, AT_NS)
    assert (exemplar.trace_id, exemplar.span_id) == (span.trace_id, span.span_id)
    assert exemplar.filtered_attributes == {"gen_ai.request.model": "m", "server.port": 443}
    assert recorded_by_api == [1.0]


def test_a_span_that_is_not_sampled_has_no_exemplar() -> None:
    found = Metrics(cumulative())
    bound, context = found.bound(), in_a_span(ALWAYS_OFF)
    for _ in range(2):
        bound.record([2.0, 7.0], context, AT_NS)
        assert exemplars(found) == []


# ── at once ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_lost_or_counted_twice_while_others_record_and_collect() -> None:
    threads, rounds = 6, 300
    found = Metrics(delta(), cumulative(), delta())
    shared = found.bound()
    start, working = threading.Barrier(threads + 1), threading.Event()
    working.set()
    seen: list[Any] = []

    def record(number: int) -> None:
        own = found.bound(OTHER)
        start.wait()
        for _ in range(rounds):
            shared.record([0.5, 2.5, 32.0], NO_SPAN, AT_NS)
            own.record([1.0], NO_SPAN, AT_NS)
            found.histogram.record(4.0, CHAT, NO_SPAN)

    def collect() -> None:
        start.wait()
        while working.is_set():
            seen.extend(points(found.readers[0]))
            points(found.readers[1])

    writers = [threading.Thread(target=record, args=(number,)) for number in range(threads)]
    collector = threading.Thread(target=collect)
    for thread in (*writers, collector):
        thread.start()
    for thread in writers:
        thread.join()
    working.clear()
    collector.join()
    seen += points(found.readers[0])

    each = threads * rounds
    for told in (seen, points(found.readers[1]), points(found.readers[2])):
        chat = [point for _, point in told if point.attributes == CHAT]
        buckets = [sum(counts) for counts in zip(*(point.bucket_counts for point in chat), strict=True)]
        assert buckets == [each, 0, 2 * each, 0, each]
        assert sum(point.sum for point in chat) == 39.0 * each
        assert {(point.min, point.max) for point in chat} >= {(0.5, 32.0)}
        assert sum(point.count for _, point in told if point.attributes == OTHER) == each


def test_what_the_sdk_reads_and_replaces_under_its_locks_is_written_under_them() -> None:
    found = Metrics(delta())
    bound: Any = found.bound()
    bound.record([1.0], NO_SPAN, AT_NS)
    ((match, key),) = bound._landing.places
    aggregation = match._attributes_aggregation[key]
    looked_up, counted = [], []

    class Aggregations(dict[Any, Any]):
        def get(self, *args: Any) -> Any:
            looked_up.append(match._lock.locked())
            return super().get(*args)

    class Counts(list[int]):
        def __setitem__(self, *args: Any) -> None:
            counted.append(match._lock.locked() and aggregation._lock.locked())
            super().__setitem__(*args)

    match._attributes_aggregation = Aggregations(match._attributes_aggregation)
    aggregation._value = Counts(aggregation._value)
    bound.record([1.0, 3.0, 3.5], NO_SPAN, AT_NS)
    assert (looked_up, counted) == ([True], [True, True])


def test_a_value_is_not_added_to_some_readers_alone() -> None:
    found = Metrics(cumulative(), delta())
    bound: Any = found.bound()
    bound.record([1.0], NO_SPAN, AT_NS)
    # As if the second reader had collected between the two.
    match, key = bound._landing.places[1]
    del match._attributes_aggregation[key]
    bound.record([2.0, 3.0], NO_SPAN, AT_NS)
    assert [(point.count, point.sum) for _, _, point in found.collected()] == [(3, 6.0), (2, 5.0)]


# ── whatever is behind the API ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_histogram_from_before_the_provider_was_set(recorded_by_api: list[float]) -> None:
    proxy, found = _ProxyMeterProvider(), Metrics(cumulative())
    bound = BoundHistogram(proxy.get_meter("toy").create_histogram("h"), CHAT, NO_SPAN)
    bound.record([1.0, 2.0], NO_SPAN, AT_NS)
    assert found.collected() == []
    proxy.on_set_meter_provider(found.provider)
    bound.record([4.0, 8.0], NO_SPAN, AT_NS)
    bound.record([16.0], NO_SPAN, AT_NS)
    ((_, _, point),) = found.collected()
    assert (point.count, point.sum) == (3, 28.0)
    assert recorded_by_api == [4.0]


@pytest.mark.parametrize("provider", [NoOpMeterProvider, _ProxyMeterProvider])
def test_without_an_sdk_each_value_is_told_to_the_api(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    histogram = provider().get_meter("toy").create_histogram("h")
    monkeypatch.setattr(type(histogram), "record", lambda _, amount, *__: told.append(amount))
    bound = BoundHistogram(histogram, CHAT, NO_SPAN)
    bound.record([1.0, 2.0], NO_SPAN, AT_NS)
    bound.record([4.0], NO_SPAN, AT_NS)
    assert told == [1.0, 2.0, 4.0]


def test_a_meter_that_is_switched_off_and_on_again() -> None:
    expected, found = Metrics(cumulative()), Metrics(cumulative())
    one_by_one, bound = expected.one_by_one(), found.bound()
    for enabled in (True, False, True):
        for metrics, histogram in ((expected, one_by_one), (found, bound)):
            _switch(metrics.provider, enabled=enabled)
            histogram.record([1.0, 2.0], NO_SPAN, AT_NS)
            histogram.record([4.0], NO_SPAN, AT_NS)
        assert found.collected() == expected.collected()
    assert [point.count for _, _, point in found.collected()] == [6]


def _switch(provider: MeterProvider, *, enabled: bool) -> None:
    from opentelemetry.sdk.metrics._internal import _MeterConfig

    provider._set_meter_configurator(meter_configurator=lambda _: _MeterConfig(is_enabled=enabled))


def test_a_histogram_that_is_not_the_sdks_is_told_of_each_value() -> None:
    told: list[float] = []

    class Watched(wrapt.ObjectProxy):  # type: ignore[type-arg]
        def record(self, amount: float, *args: Any, **kwargs: Any) -> None:
            told.append(amount)
            self.__wrapped__.record(amount, *args, **kwargs)

    found = Metrics(cumulative())
    BoundHistogram(Watched(found.histogram), CHAT, NO_SPAN).record([1.0, 2.0, 4.0], NO_SPAN, AT_NS)
    assert told == [1.0, 2.0, 4.0]
    assert [point.count for _, _, point in found.collected()] == [3]


def test_an_aggregation_that_is_not_the_sdks_is_told_of_each_value() -> None:
    told: list[float] = []

    class Watched(_ExplicitBucketHistogramAggregation):
        def aggregate(self, measurement: Any, *args: Any) -> None:
            told.append(measurement.value)
            super().aggregate(measurement, *args)

    class Watching(ExplicitBucketHistogramAggregation):
        def _create_aggregation(self, *args: Any) -> Any:
            made = super()._create_aggregation(*args)
            made.__class__ = Watched
            return made

    found = Metrics(cumulative(), views=[View(instrument_name="h", aggregation=Watching(BOUNDARIES))])
    found.bound().record([1.0, 2.0, 4.0], NO_SPAN, AT_NS)
    assert told == [1.0, 2.0, 4.0]


def test_an_aggregation_with_a_field_that_we_do_not_know_is_left_alone(
    recorded_by_api: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = _ExplicitBucketHistogramAggregation.__init__

    def making(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        self._sum_of_squares = 0

    monkeypatch.setattr(_ExplicitBucketHistogramAggregation, "__init__", making)
    found = Metrics(cumulative())
    found.bound().record([1.0, 2.0, 4.0], NO_SPAN, AT_NS)
    assert len(recorded_by_api) == 3
    assert [point.count for _, _, point in found.collected()] == [3]


@pytest.mark.parametrize("lost", ["_reader_storages", "_sdk_config"])
def test_an_sdk_that_has_moved_things(lost: str, recorded_by_api: list[float]) -> None:
    found = Metrics(cumulative())
    bound = found.bound()
    consumer = found.histogram._measurement_consumer

    class Moved:
        def __getattr__(self, name: str) -> Any:
            if name == lost:
                raise AttributeError(name)
            return getattr(consumer, name)

    found.histogram._measurement_consumer = Moved()
    bound.record([1.0, 2.0, 4.0], NO_SPAN, AT_NS)
    bound.record([8.0], NO_SPAN, AT_NS)
    assert len(recorded_by_api) == 4
    assert [point.count for _, _, point in found.collected()] == [4]


# ── operations ─────────────────────────────────────────────────────────────────────────────────────────────────────────


DURATION = "gen_ai.client.operation.duration"
PER_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
TOKENS = "gen_ai.client.token.usage"


def stream(model: str = "m", chunks: int = 1001, **response: Any) -> Operation:
    """One that lasts as many seconds as it has chunks."""
    return Operation(
        request=Request(operation="chat", provider="toy", model=model, stream=True),
        timing=Timing(began_ns=AT_NS, started=0.0, ended=float(chunks), chunks=[float(at) for at in range(chunks)]),
        response=Response(usage=Usage(input=9, output=3), **response),
    )


def report(recorded: Recorded, *operations: Operation) -> Telemetry:
    telemetry = Telemetry("toy", "1", Config(), **recorded.providers)
    for operation in operations:
        span = telemetry.start(operation.request, AT_NS)
        telemetry.report(span, trace.set_span_in_context(span, Context()), operation)
    return telemetry


def test_the_times_between_a_thousand_chunks_are_recorded_through_the_api_once(
    recorded: Recorded, recorded_by_api: list[float]
) -> None:
    report(recorded, stream())
    # Once for every histogram and set of attributes: first chunk, between chunks, duration, tokens of either type.
    assert sorted(recorded_by_api) == [0.0, 1.0, 3, 9, 1001.0]
    (point,) = recorded.metrics()[PER_CHUNK]
    assert (point.count, point.sum) == (1000, 1000.0)


def test_of_a_second_call_nothing_is_recorded_through_the_api(recorded: Recorded, recorded_by_api: list[float]) -> None:
    report(recorded, stream(), stream())
    assert len(recorded_by_api) == 5
    metrics = recorded.metrics()
    assert [point.count for point in metrics[PER_CHUNK]] == [2000]
    assert [(point.attributes["gen_ai.token.type"], point.sum) for point in metrics[TOKENS]] == [
        ("input", 18),
        ("output", 6),
    ]


def test_times_of_every_call_lead_to_its_span_and_counts_of_tokens_do_not(recorded: Recorded) -> None:
    report(recorded, stream(chunks=4), stream(chunks=9))
    spans = [span.context.span_id for span in recorded.spans(2)]
    metrics = recorded.metrics()
    (point,) = metrics[DURATION]
    assert {(exemplar.value, exemplar.span_id) for exemplar in point.exemplars} == {(4.0, spans[0]), (9.0, spans[1])}
    assert [point.exemplars for point in metrics[TOKENS]] == [[], []]


def test_who_asks_and_who_serves_are_kept_apart_with_the_same_attributes(recorded: Recorded) -> None:
    asked = stream(chunks=3)
    served = asked._replace(request=asked.request._replace(side=Side.SERVER))
    report(recorded, asked, served, asked)
    counts = {name: [point.count for point in points] for name, points in recorded.metrics().items()}
    assert (counts[DURATION], counts["gen_ai.server.request.duration"]) == ([2], [1])


def test_of_more_sets_of_attributes_than_are_remembered_all_are_counted(
    recorded: Recorded, recorded_by_api: list[float]
) -> None:
    models = [f"m{number}" for number in range(1010)]
    operations = [stream(model, chunks=3) for model in models]
    report(recorded, *operations, *operations)
    points = recorded.metrics()[PER_CHUNK]
    assert {point.attributes["gen_ai.request.model"]: point.count for point in points} == dict.fromkeys(models, 4)
    # Five for each that is remembered; for each other six, twice.
    assert len(recorded_by_api) == 1000 * 5 + 10 * 6 * 2


def test_a_value_that_nothing_can_be_remembered_by_is_left_to_the_sdk(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd: Any = ["not", "hashable"]
    recorded_anyway: list[Any] = []
    monkeypatch.setattr(type(_made(recorded)), "record", lambda _, value, *__: recorded_anyway.append(value))
    report(recorded, stream(chunks=0, system_fingerprint=odd))
    assert recorded_anyway == [0.0, 9, 3]


def _made(recorded: Recorded) -> Any:
    return recorded.meter_provider.get_meter("any").create_histogram("any")
