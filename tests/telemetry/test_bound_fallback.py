"""Bound histograms: threads lose no value, and unknown parts behind the API receive each value through it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import wrapt
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.metrics._internal import _ProxyMeterProvider
from opentelemetry.sdk.metrics._internal.aggregation import _ExplicitBucketHistogramAggregation
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

from otel_genai.telemetry.bound import BoundHistogram
from tests.support.bound_histograms import (
    AT_NS,
    BOUNDARIES,
    CHAT,
    NO_SPAN,
    OTHER,
    Metrics,
    cumulative,
    delta,
    points,
)

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider


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
    for data_points in (seen, points(found.readers[1]), points(found.readers[2])):
        chat = [point for _, point in data_points if point.attributes == CHAT]
        buckets = [sum(counts) for counts in zip(*(point.bucket_counts for point in chat), strict=True)]
        assert buckets == [each, 0, 2 * each, 0, each]
        assert sum(point.sum for point in chat) == 39.0 * each
        assert {(point.min, point.max) for point in chat} >= {(0.5, 32.0)}
        assert sum(point.count for _, point in data_points if point.attributes == OTHER) == each


def test_aggregations_are_written_under_the_locks_of_the_sdk() -> None:
    found = Metrics(delta())
    bound: Any = found.bound()
    bound.record([1.0], NO_SPAN, AT_NS)
    ((match, key),) = bound._aggregations.matches
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


def test_a_value_is_added_to_all_readers_or_to_none() -> None:
    found = Metrics(cumulative(), delta())
    bound: Any = found.bound()
    bound.record([1.0], NO_SPAN, AT_NS)
    # As if the second reader had collected between the two.
    match, key = bound._aggregations.matches[1]
    del match._attributes_aggregation[key]
    bound.record([2.0, 3.0], NO_SPAN, AT_NS)
    assert [(point.count, point.sum) for _, _, point in found.collected()] == [(3, 6.0), (2, 5.0)]


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
def test_without_an_sdk_each_value_goes_through_the_api(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[float] = []
    histogram = provider().get_meter("toy").create_histogram("h")
    monkeypatch.setattr(type(histogram), "record", lambda _, amount, *__: recorded.append(amount))
    bound = BoundHistogram(histogram, CHAT, NO_SPAN)
    bound.record([1.0, 2.0], NO_SPAN, AT_NS)
    bound.record([4.0], NO_SPAN, AT_NS)
    assert recorded == [1.0, 2.0, 4.0]


def test_a_meter_that_is_switched_off_and_on_again() -> None:
    expected, found = Metrics(cumulative()), Metrics(cumulative())
    unbound, bound = expected.unbound(), found.bound()
    for enabled in (True, False, True):
        for metrics, histogram in ((expected, unbound), (found, bound)):
            _switch(metrics.provider, enabled=enabled)
            histogram.record([1.0, 2.0], NO_SPAN, AT_NS)
            histogram.record([4.0], NO_SPAN, AT_NS)
        assert found.collected() == expected.collected()
    assert [point.count for _, _, point in found.collected()] == [6]


def _switch(provider: MeterProvider, *, enabled: bool) -> None:
    from opentelemetry.sdk.metrics._internal import _MeterConfig

    provider._set_meter_configurator(meter_configurator=lambda _: _MeterConfig(is_enabled=enabled))


def test_a_histogram_that_is_not_the_sdks_receives_each_value() -> None:
    recorded: list[float] = []

    class Watched(wrapt.ObjectProxy):  # type: ignore[type-arg]
        def record(self, amount: float, *args: Any, **kwargs: Any) -> None:
            recorded.append(amount)
            self.__wrapped__.record(amount, *args, **kwargs)

    found = Metrics(cumulative())
    BoundHistogram(Watched(found.histogram), CHAT, NO_SPAN).record([1.0, 2.0, 4.0], NO_SPAN, AT_NS)
    assert recorded == [1.0, 2.0, 4.0]
    assert [point.count for _, _, point in found.collected()] == [3]


def test_an_aggregation_that_is_not_the_sdks_receives_each_value() -> None:
    recorded: list[float] = []

    class Watched(_ExplicitBucketHistogramAggregation):
        def aggregate(self, measurement: Any, *args: Any) -> None:
            recorded.append(measurement.value)
            super().aggregate(measurement, *args)

    class Watching(ExplicitBucketHistogramAggregation):
        def _create_aggregation(self, *args: Any) -> Any:
            made = super()._create_aggregation(*args)
            made.__class__ = Watched
            return made

    found = Metrics(cumulative(), views=[View(instrument_name="h", aggregation=Watching(BOUNDARIES))])
    found.bound().record([1.0, 2.0, 4.0], NO_SPAN, AT_NS)
    assert recorded == [1.0, 2.0, 4.0]


def test_an_aggregation_with_an_unknown_field_is_not_written_directly(
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
def test_an_sdk_with_other_private_names(lost: str, recorded_by_api: list[float]) -> None:
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
