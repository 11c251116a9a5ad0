"""Bound instruments: a histogram or a counter with one set of attributes, which takes all values of an operation at once.

The API has none (opentelemetry-python#5450 adds `bind`; it is used where a version has it). The SDK's `Histogram.record` takes 9 µs, nearly
all of it to find the aggregation of these attributes. So only the first value goes that way. The others are added to the same
aggregation directly: one in 2 µs, a thousand in 40.

The direct way relies on private parts of the SDK: an instrument leads to its readers' storages, a storage to a match for each view, and a
match to an aggregation for each set of attributes. Match and aggregation have a lock each, and an aggregation has exactly the fields
that we know. It is taken only in the versions of `PROVEN_SDKS`, in builds with a GIL. Where a version or a part is unknown, each value
is recorded through the API: nothing is lost, and it is slower.
"""

from __future__ import annotations

import logging
import sys
from bisect import bisect_left, bisect_right
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_logger = logging.getLogger("otel_genai")

PROVEN_SDKS: Final = frozenset(
    {"1.41.0", "1.41.1", "1.42.0", "1.42.1", "1.43.0", "1.44.0", "1.45.0", "1.45.1", "1.45.2"}
)
"""Versions of opentelemetry-sdk in which `make test-sdk-matrix` has run the tests of bound histograms."""

_HISTOGRAM: Final = {"_Histogram"}
_BUCKETS: Final = {"_ExplicitBucketHistogramAggregation"}
_DROPPED: Final = {"_DropAggregation"}
# With any other filter each value may be an exemplar.
_EXEMPLAR_FILTERS: Final = {"TraceBasedExemplarFilter", "AlwaysOffExemplarFilter"}
# A field more may be one that each value has to update.
_FIELDS: Final = {
    "_attributes", "_boundaries", "_instrument_aggregation_temporality", "_lock", "_max", "_min", "_previous_collection_start_nano",
    "_previous_max", "_previous_min", "_previous_point", "_previous_sum", "_previous_value", "_record_min_max", "_reservoir",
    "_start_time_unix_nano", "_sum", "_value",
}  # fmt: skip


def bind(instrument: Any, attributes: Mapping[str, Any], unlinked: object, *, direct: bool) -> UnboundInstrument:
    """A histogram or a counter with one set of attributes, by the fastest way that is safe.

    `unlinked` is a context without a span. `direct` is whether values of a histogram may go straight to the SDK's aggregation.
    """
    is_histogram = hasattr(instrument, "record")
    method = "record" if is_histogram else "add"
    if callable(getattr(instrument, "bind", None)):
        write = getattr(instrument.bind(attributes), method, None)
        if write is not None:
            return ApiBoundInstrument(write, attributes, unlinked)
    if is_histogram and direct and direct_way_is_proven():
        return BoundHistogram(instrument, attributes, unlinked)
    return UnboundInstrument(getattr(instrument, method), attributes, unlinked)


@cache
def direct_way_is_proven() -> bool:
    """Whether the installed SDK is one of `PROVEN_SDKS`, and this Python has a GIL. Determined once a process."""
    try:
        installed = version("opentelemetry-sdk")
    except PackageNotFoundError:
        return False
    if installed not in PROVEN_SDKS:
        _logger.debug("Metrics go through OpenTelemetry's API: opentelemetry-sdk %s is not a tested version", installed)
        return False
    if _is_free_threaded():
        _logger.debug("Metrics go through OpenTelemetry's API: this build of Python has no GIL")
        return False
    return True


def _is_free_threaded() -> bool:
    # Builds without a GIL exist since Python 3.13, as does this function. The build decides: an import may switch the GIL on for a while.
    if not hasattr(sys, "_is_gil_enabled"):
        return False
    import sysconfig

    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


class UnboundInstrument:
    """An instrument with one set of attributes. Each value goes through the API."""

    __slots__ = ("_attributes", "_unlinked", "_write")

    def __init__(self, write: Callable[..., None], attributes: Mapping[str, Any], unlinked: object) -> None:
        """`write` is a histogram's `record` or a counter's `add`; `unlinked` is a context without a span."""
        self._write = write
        self._attributes = attributes
        self._unlinked = unlinked

    def record(self, values: Sequence[float], context: object, at_ns: int) -> None:  # noqa: ARG002
        """Record one value or more. `context` is that of the largest, whose exemplar leads to its span; the others have none.

        `at_ns` is the time of measurement: wall clock, nanoseconds since the epoch.
        """
        largest = values.index(max(values))
        for index, value in enumerate(values):
            self._write_one(value, context if index == largest else self._unlinked)

    def _write_one(self, value: float, context: object) -> None:
        self._write(value, self._attributes, context)


class ApiBoundInstrument(UnboundInstrument):
    """An instrument that the API has bound to its attributes: `write` takes a value and a context."""

    __slots__ = ()

    def _write_one(self, value: float, context: object) -> None:
        self._write(value, context=context)


class BoundHistogram(UnboundInstrument):
    """A histogram with one set of attributes. Once the SDK has made an aggregation for these, values go straight there."""

    __slots__ = ("_aggregations", "_histogram")

    def __init__(self, histogram: Any, attributes: Mapping[str, Any], unlinked: object) -> None:
        """`unlinked` is a context without a span."""
        super().__init__(histogram.record, attributes, unlinked)
        self._histogram = histogram
        self._aggregations: _Aggregations | None = None

    def record(self, values: Sequence[float], context: object, at_ns: int) -> None:
        """Record one value or more, as `UnboundInstrument` does."""
        if self._add(values, context, at_ns):
            return
        # The SDK makes an aggregation when a value is recorded, also after a collection has removed the one before.
        first, others = values[0], values[1:]
        is_largest = first == max(values)
        self._write_one(first, context if is_largest else self._unlinked)
        known = self._aggregations
        if known is None or known.consumer._reader_storages is not known.storages:
            self._aggregations = _aggregations(self._histogram, self._attributes)
        context = self._unlinked if is_largest else context
        if others and not self._add(others, context, at_ns):
            super().record(others, context, at_ns)

    def _add(self, values: Sequence[float], context: object, at_ns: int) -> bool:
        # Whether all were added; otherwise none was.
        known = self._aggregations
        if (
            known is None
            or known.matches is None
            or known.consumer._reader_storages is not known.storages
            or not known.is_enabled()
        ):
            return False
        ordered = sorted(values)
        total = sum(ordered)
        if ordered[0] < 0 or not isfinite(total):
            return False  # the SDK warns of these
        exemplar = None
        if context is not self._unlinked:
            offered = ordered[-1], at_ns, self._attributes, context
            exemplar = offered if known.is_sampled(*offered) else None
        return not known.matches or _add_to(known.matches, ordered, total, exemplar)


class _Aggregations(NamedTuple):
    """Where the SDK adds up the values of one histogram and one set of attributes."""

    consumer: Any
    storages: Mapping[Any, Any]
    """Of all readers. The consumer has another mapping as soon as a reader comes or goes."""
    is_enabled: Callable[[], bool]
    is_sampled: Callable[..., bool]
    """Whether a value, its time, attributes and context make an exemplar."""
    matches: tuple[tuple[Any, Any], ...] | None
    """Each match with the key of our attributes in it; `None` if one of them has an aggregation that we do not know."""


def _aggregations(histogram: Any, attributes: Mapping[str, Any]) -> _Aggregations | None:
    # `None` as long as there is no SDK behind the histogram.
    try:
        real = getattr(histogram, "_real_instrument", histogram)
        consumer = getattr(real, "_measurement_consumer", None)
        if consumer is None:
            return None
        storages = consumer._reader_storages
        exemplars = consumer._sdk_config.exemplar_filter
        is_known = _is_of_the_sdk(real, _HISTOGRAM) and _is_of_the_sdk(exemplars, _EXEMPLAR_FILTERS)
        matches = _matches(storages, real, attributes) if is_known else None
        return _Aggregations(consumer, storages, real._is_enabled, exemplars.should_sample, matches)
    except (AttributeError, KeyError, TypeError):
        return None


def _matches(
    storages: Mapping[Any, Any], histogram: Any, attributes: Mapping[str, Any]
) -> tuple[tuple[Any, Any], ...] | None:
    found = []
    for storage in storages.values():
        for match in storage._instrument_view_instrument_matches[histogram]:
            if not _is_of_the_sdk(match._aggregation, _DROPPED):
                key = _key(match, attributes)
                if key is None:
                    return None
                found.append((match, key))
    return tuple(found)


def _key(match: Any, attributes: Mapping[str, Any]) -> Any:
    # Keys differ from version to version, so the aggregation is found by its attributes: mostly it is the newest.
    names = match._view._attribute_keys
    kept = {name: value for name, value in attributes.items() if names is None or name in names}
    with match._lock:
        for key, aggregation in reversed(match._attributes_aggregation.items()):
            if aggregation._attributes == kept:
                is_known = _is_of_the_sdk(aggregation, _BUCKETS) and vars(aggregation).keys() == _FIELDS
                return key if is_known else None
    return None  # it is beyond the limit of cardinality, or was collected at this very moment


def _is_of_the_sdk(part: Any, names: set[str]) -> bool:
    kind = type(part)
    return kind.__qualname__ in names and kind.__module__.startswith("opentelemetry.sdk.")


def _add_to(
    matches: tuple[tuple[Any, Any], ...], ordered: Sequence[float], total: float, exemplar: tuple[Any, ...] | None
) -> bool:
    match, key = matches[0]
    others = matches[1:]
    # A collection takes these locks in the same order. With delta temporality it removes the aggregations under the first.
    with match._lock:
        aggregation = match._attributes_aggregation.get(key)
        # The other matches come first: a value that was added to this one could not be taken back, should another lack its aggregation.
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
