"""Bound instruments: a histogram or a counter with one set of attributes, which is given all values of an operation at once.

The API has none, and the SDK's `Histogram.record` takes 9 µs, nearly all of it to find out anew where values with these attributes are
summed up. So only the first value goes that way. Then we look where it is, and add the others there by ourselves: one in 2 µs, a thousand
in 40.

All that is private to the SDK, and relied on as far as it can be seen: an instrument leads to its readers' storages, these to a match for
each view, and a match to an aggregation for each set of attributes; match and aggregation have a lock each; an aggregation has exactly
the fields that we know. If anything is different - no SDK or another one, another kind of aggregation, a version that has moved things -
each value is recorded through the API. Nothing is lost then; it is slower.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_HISTOGRAM: Final = {"_Histogram"}
_BUCKETS: Final = {"_ExplicitBucketHistogramAggregation"}
_DROPPED: Final = {"_DropAggregation"}
# With any other filter each value may be an exemplar.
_EXEMPLAR_FILTERS: Final = {"TraceBasedExemplarFilter", "AlwaysOffExemplarFilter"}
# One field more, and it might be one that is to be kept up to date.
_FIELDS: Final = {
    "_attributes", "_boundaries", "_instrument_aggregation_temporality", "_lock", "_max", "_min", "_previous_collection_start_nano",
    "_previous_max", "_previous_min", "_previous_point", "_previous_sum", "_previous_value", "_record_min_max", "_reservoir",
    "_start_time_unix_nano", "_sum", "_value",
}  # fmt: skip


class UnboundInstrument:
    """An instrument with one set of attributes. Each value goes through the API."""

    __slots__ = ("_attributes", "_unlinked", "_write")

    def __init__(self, write: Callable[..., None], attributes: Mapping[str, Any], unlinked: object) -> None:
        """`write` is a histogram's `record` or a counter's `add`; `unlinked` is a context without a span."""
        self._write = write
        self._attributes = attributes
        self._unlinked = unlinked

    def record(self, values: Sequence[float], context: object, at_ns: int) -> None:  # noqa: ARG002
        """Take down one value or more. `context` is that of the largest, whose span it may lead to; the others have none.

        `at_ns` is when they were measured: wall clock, nanoseconds since the epoch.
        """
        largest = values.index(max(values))
        for place, value in enumerate(values):
            self._write(value, self._attributes, context if place == largest else self._unlinked)


class BoundHistogram(UnboundInstrument):
    """A histogram with one set of attributes. Once the SDK has made an aggregation for these, values go straight there."""

    __slots__ = ("_histogram", "_landing")

    def __init__(self, histogram: Any, attributes: Mapping[str, Any], unlinked: object) -> None:
        """`unlinked` is a context without a span."""
        super().__init__(histogram.record, attributes, unlinked)
        self._histogram = histogram
        self._landing: _Landing | None = None

    def record(self, values: Sequence[float], context: object, at_ns: int) -> None:
        """Take down one value or more, as `OneByOne` does."""
        if self._add(values, context, at_ns):
            return
        # For one value the SDK makes an aggregation of its own accord, also where a collection has thrown away that of before.
        first, others = values[0], values[1:]
        is_largest = first == max(values)
        self._write(first, self._attributes, context if is_largest else self._unlinked)
        if self._landing is None or self._landing.consumer._reader_storages is not self._landing.storages:
            self._landing = _landing(self._histogram, self._attributes)
        context = self._unlinked if is_largest else context
        if others and not self._add(others, context, at_ns):
            super().record(others, context, at_ns)

    def _add(self, values: Sequence[float], context: object, at_ns: int) -> bool:
        # Whether they were added. If not, none was.
        landing = self._landing
        if (
            landing is None
            or landing.places is None
            or landing.consumer._reader_storages is not landing.storages
            or not landing.is_enabled()
        ):
            return False
        ordered = sorted(values)
        total = sum(ordered)
        if ordered[0] < 0 or not isfinite(total):
            return False  # the SDK knows what to say of these
        exemplar = None
        if context is not self._unlinked:
            offered = ordered[-1], at_ns, self._attributes, context
            exemplar = offered if landing.is_sampled(*offered) else None
        return not landing.places or _add_to(landing.places, ordered, total, exemplar)


class _Landing(NamedTuple):
    """Where the SDK puts the values of one histogram and one set of attributes."""

    consumer: Any
    storages: Mapping[Any, Any]
    """Of all readers. The consumer has another mapping as soon as a reader comes or goes."""
    is_enabled: Callable[[], bool]
    is_sampled: Callable[..., bool]
    """Whether a value, its time, attributes and context make an exemplar."""
    places: tuple[tuple[Any, Any], ...] | None
    """Matches, each with the key of our attributes in it; `None` if one of them is none that we can add to."""


def _landing(histogram: Any, attributes: Mapping[str, Any]) -> _Landing | None:
    # `None` as long as there is no SDK behind the histogram.
    try:
        real = getattr(histogram, "_real_instrument", histogram)
        consumer = getattr(real, "_measurement_consumer", None)
        if consumer is None:
            return None
        storages = consumer._reader_storages
        exemplars = consumer._sdk_config.exemplar_filter
        is_known = _is_sdks(real, _HISTOGRAM) and _is_sdks(exemplars, _EXEMPLAR_FILTERS)
        places = _places(storages, real, attributes) if is_known else None
        return _Landing(consumer, storages, real._is_enabled, exemplars.should_sample, places)
    except (AttributeError, KeyError, TypeError):
        return None


def _places(
    storages: Mapping[Any, Any], histogram: Any, attributes: Mapping[str, Any]
) -> tuple[tuple[Any, Any], ...] | None:
    places = []
    for storage in storages.values():
        for match in storage._instrument_view_instrument_matches[histogram]:
            if not _is_sdks(match._aggregation, _DROPPED):
                key = _key(match, attributes)
                if key is None:
                    return None
                places.append((match, key))
    return tuple(places)


def _key(match: Any, attributes: Mapping[str, Any]) -> Any:
    # How the SDK makes keys differs from version to version, so the aggregation is found by its attributes: mostly it is the newest.
    kept = match._view._attribute_keys
    told = {name: value for name, value in attributes.items() if kept is None or name in kept}
    with match._lock:
        for key, aggregation in reversed(match._attributes_aggregation.items()):
            if aggregation._attributes == told:
                return key if _is_sdks(aggregation, _BUCKETS) and vars(aggregation).keys() == _FIELDS else None
    return None  # it is beyond the limit of cardinality, or was collected in this very moment


def _is_sdks(part: Any, names: set[str]) -> bool:
    kind = type(part)
    return kind.__qualname__ in names and kind.__module__.startswith("opentelemetry.sdk.")


def _add_to(
    places: tuple[tuple[Any, Any], ...], ordered: Sequence[float], total: float, exemplar: tuple[Any, ...] | None
) -> bool:
    match, key = places[0]
    others = places[1:]
    # A collection takes these locks in the same order. With delta temporality it throws the aggregations away under the first.
    with match._lock:
        aggregation = match._attributes_aggregation.get(key)
        # What was added to one place could not be taken back, should it be missing in the next: so that is looked after first.
        if aggregation is None or (others and not _add_to(others, ordered, total, exemplar)):
            return False
        with aggregation._lock:
            boundaries, counts = aggregation._boundaries, aggregation._value
            if counts is None:
                counts = aggregation._value = [0] * (len(boundaries) + 1)
            counted, count = 0, len(ordered)
            while counted < count:
                bucket = bisect_left(boundaries, ordered[counted])  # a value at a boundary is below it
                until = bisect_right(ordered, boundaries[bucket], counted) if bucket < len(boundaries) else count
                counts[bucket] += until - counted
                counted = until
            aggregation._sum += total
            least, most = ordered[0], ordered[-1]
            if aggregation._record_min_max and not aggregation._min <= least <= most <= aggregation._max:
                aggregation._min = min(aggregation._min, least)
                aggregation._max = max(aggregation._max, most)
        if exemplar is not None:
            aggregation._reservoir.offer(*exemplar)
    return True
