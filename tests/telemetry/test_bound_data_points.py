"""Bound histograms: their data points and exemplars equal those of values recorded one by one through the API."""

from __future__ import annotations

import itertools
import random
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from tests.support.bound_histograms import (
    AT_NS,
    BOUNDARIES,
    CHAT,
    NO_SPAN,
    OTHER,
    READERS,
    VIEWS,
    Metrics,
    cumulative,
    delta,
    exemplars,
    in_a_span,
    points,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.metrics.export import InMemoryMetricReader


CAN_CHANGE_READERS = pytest.mark.skipif(
    not hasattr(MeterProvider, "add_metric_reader"), reason="this version of the SDK has its readers for good"
)

UNKNOWN_AGGREGATION = {"exponential", "sum", "two, one of which is exponential"}
# In quarters, so that sums are exact in any order. Between the rounds, metrics are collected.
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
def test_data_points_equal_those_of_values_recorded_one_by_one(
    readers: Sequence[Callable[[], InMemoryMetricReader]], views: Sequence[View]
) -> None:
    expected, found = (Metrics(*(reader() for reader in readers), views=views) for _ in range(2))
    bound = {id(attributes): found.bound(attributes) for attributes in (CHAT, OTHER)}
    for values_by_attributes in ROUNDS:
        for attributes, values in values_by_attributes:
            expected.unbound(attributes).record(values, NO_SPAN, AT_NS)
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
    name, chosen = views
    found = Metrics(cumulative(), delta(), views=chosen)
    bound = found.bound()
    bound.record([value / 4 for value in range(1000)], NO_SPAN, AT_NS)
    bound.record([1.0], NO_SPAN, AT_NS)
    assert len(recorded_by_api) == (1001 if name in UNKNOWN_AGGREGATION else 1)


def test_after_a_collection_that_removed_it_the_sdk_makes_a_new_aggregation(recorded_by_api: list[float]) -> None:
    found = Metrics(cumulative(), delta())
    bound = found.bound()
    for _ in range(3):
        bound.record([1.0] * 10, NO_SPAN, AT_NS)
        recorded = [point.count for _, _, point in found.collected()]
    assert recorded == [30, 10]
    # Versions before 1.45.2 keep it.
    assert len(recorded_by_api) in {1, 3}


def test_attributes_that_the_sdk_knew_before(recorded_by_api: list[float]) -> None:
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
def test_readers_are_added_and_removed(recorded_by_api: list[float]) -> None:
    expected, found = Metrics(cumulative()), Metrics(cumulative())
    unbound, bound = expected.unbound(), found.bound()

    def record(*values: float) -> None:
        unbound.record(values, NO_SPAN, AT_NS)
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


def test_beyond_the_cardinality_limit_data_points_are_the_same() -> None:
    expected, found = Metrics(cumulative(), delta()), Metrics(cumulative(), delta())
    bound = [found.bound({"set": number}) for number in range(2010)]
    for _ in range(2):
        for number, histogram in enumerate(bound):
            expected.unbound({"set": number}).record([1.0, 2.5], NO_SPAN, AT_NS)
            histogram.record([1.0, 2.5], NO_SPAN, AT_NS)
        assert found.collected() == expected.collected()


def test_attributes_may_fall_beyond_the_cardinality_limit_after_a_collection() -> None:
    expected, found = Metrics(delta()), Metrics(delta())
    bound = found.bound()
    bound.record([1.0], NO_SPAN, AT_NS)
    expected.unbound().record([1.0], NO_SPAN, AT_NS)
    assert found.collected() == expected.collected()
    for number, metrics in itertools.product(range(2010), (expected, found)):
        metrics.histogram.record(1.0, {"set": number}, NO_SPAN)
    bound.record([1.0, 2.0, 3.0], NO_SPAN, AT_NS)
    expected.unbound().record([1.0, 2.0, 3.0], NO_SPAN, AT_NS)
    assert found.collected() == expected.collected()


@pytest.mark.parametrize("value", [-1.0, inf, nan], ids=str)
def test_values_that_the_sdk_refuses_are_passed_to_it(value: float, caplog: pytest.LogCaptureFixture) -> None:
    expected, found = Metrics(cumulative()), Metrics(cumulative())
    warnings = []
    for histogram in (expected.unbound(), found.bound()):
        caplog.clear()
        for values in ([1.0], [value, 2.0], [value], [2.0, value, 3.0]):
            histogram.record(values, NO_SPAN, AT_NS)
        warnings.append([record.getMessage() for record in caplog.records])
    assert warnings[0] == warnings[1]
    # As text: NaN is not equal to itself.
    assert repr(found.collected()) == repr(expected.collected())


@pytest.mark.parametrize("views", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF], ids=["sampled", "not sampled"])
@pytest.mark.parametrize(
    "exemplar_filter", [None, AlwaysOffExemplarFilter(), AlwaysOnExemplarFilter()], ids=["default", "off", "on"]
)
def test_exemplars_equal_those_of_values_recorded_one_by_one(
    views: Sequence[View], sampler: Any, exemplar_filter: Any
) -> None:
    expected, found = (Metrics(cumulative(), delta(), views=views, exemplar_filter=exemplar_filter) for _ in range(2))
    unbound, bound = expected.unbound(), found.bound()
    context = in_a_span(sampler)
    for values in ([7.5, 1.5], [1.5], [3.0, 1.5, 7.0, 5.0], [0.25, 0.5], [9.0]):
        for histogram in (unbound, bound):
            random.seed(1)  # exponential histograms sample their exemplars
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
