"""What engines have reported of their load: the latest report of each, and the totals of everything that is counted.

Gauges and counters are read whenever metrics are collected; a step of an engine only stores its report here.
"""

from __future__ import annotations

import os
from threading import RLock
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from otel_genai.semconv import gen_ai, otel_genai
from otel_genai.semconv.metrics import RATIO, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_genai.operation import EngineStats
    from otel_genai.semconv.metrics import EngineMetric

    Name = tuple[str, str | None, int]
    """Provider, model and index."""
    Attributes = Mapping[str, str | int]


class _Engines:
    """The engines of one provider, model and index: usually one. Their totals outlive them; their states do not."""

    __slots__ = ("attributes", "latest", "preemptions", "prefix_cache_hits", "prefix_cache_queries")

    def __init__(self, name: Name) -> None:
        provider, model, index = name
        named = {} if model is None else {gen_ai.REQUEST_MODEL: model}
        self.attributes: Attributes = {gen_ai.PROVIDER_NAME: provider, **named, otel_genai.ENGINE_INDEX: index}
        self.latest: WeakKeyDictionary[object, EngineStats] = WeakKeyDictionary()
        self.preemptions = 0
        self.prefix_cache_queries = 0
        self.prefix_cache_hits = 0


class EngineReports:
    """The reports of one instrumentation's engines."""

    def __init__(self) -> None:
        self._engines: dict[Name, _Engines] = {}
        # Reentrant: a signal that ends the process may come while the lock is held, and its handler collects the metrics.
        self._lock = RLock()

    def add(self, engine: object, stats: EngineStats) -> Attributes:
        """Store a report, and return the attributes of its metrics. `engine` is not kept alive."""
        name = stats[:3]
        with self._lock:
            engines = self._engines.get(name)
            if engines is None:
                engines = self._engines[name] = _Engines(name)
            before = engines.latest.get(engine)
            engines.latest[engine] = stats if before is None else _completed(stats, before)
            engines.preemptions += stats.preemptions
            engines.prefix_cache_queries += stats.prefix_cache_queries
            engines.prefix_cache_hits += stats.prefix_cache_hits
        return engines.attributes

    def read(self, metric: EngineMetric) -> list[tuple[float, Attributes]]:
        """The value of a gauge or a counter for each provider, model and index, as of now."""
        with self._lock:
            if metric.kind is Kind.COUNTER:
                return [(getattr(each, metric.field), each.attributes) for each in self._engines.values()]
            return [
                (value, each.attributes)
                for each in self._engines.values()
                if (value := _state(metric, each.latest.values())) is not None
            ]

    def clear_states(self) -> None:
        """Forget the latest reports: engines are no longer watched, and their states are unknown."""
        with self._lock:
            for engines in self._engines.values():
                engines.latest.clear()

    def _reset(self) -> None:
        self._engines = {}
        self._lock = RLock()


def _state(metric: EngineMetric, reports: Iterable[EngineStats]) -> float | None:
    values: list[float] = [value for stats in reports if (value := getattr(stats, metric.field)) is not None]
    if not values:
        return None
    # Shares cannot be added: of several caches, the fullest one limits.
    return max(values) if metric.unit == RATIO else sum(values)


def _completed(stats: EngineStats, before: EngineStats) -> EngineStats:
    if stats.running is not None and stats.waiting is not None and stats.kv_cache_utilization is not None:
        return stats
    return stats._replace(
        running=before.running if stats.running is None else stats.running,
        waiting=before.waiting if stats.waiting is None else stats.waiting,
        kv_cache_utilization=(
            before.kv_cache_utilization if stats.kv_cache_utilization is None else stats.kv_cache_utilization
        ),
    )


def shared_reports(scope: str, meter_provider: object) -> EngineReports:
    """The reports of an instrumentation for one meter provider; `None` is OpenTelemetry's global one.

    The SDK keeps a gauge with its first callback, so an instrumentation that is switched on again continues with the same reports.
    """
    # The provider is kept too, so that its id stays its own.
    return _shared.setdefault((scope, id(meter_provider)), (meter_provider, EngineReports()))[1]


_shared: Final[dict[tuple[str, int], tuple[object, EngineReports]]] = {}


def _reset_in_child() -> None:
    for _, reports in _shared.values():
        reports._reset()


if hasattr(os, "register_at_fork"):
    # The parent process reports its engines itself.
    os.register_at_fork(after_in_child=_reset_in_child)
