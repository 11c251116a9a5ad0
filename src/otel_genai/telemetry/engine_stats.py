"""What engines have told of their load: the last word of each, and how much there was of everything that is counted.

Gauges and counters are read whenever metrics are collected; a step of an engine only leaves its word here.
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
    from otel_genai.semconv.metrics import LoadMetric

    Name = tuple[str, str | None, int]
    Attributes = Mapping[str, str | int]


class _Engines:
    """Those of one provider, model and index: usually one. What they count outlives them; how busy they are does not."""

    __slots__ = ("attributes", "last", "preemptions", "prefix_cache_hits", "prefix_cache_queries")

    def __init__(self, name: Name) -> None:
        provider, model, index = name
        named = {} if model is None else {gen_ai.REQUEST_MODEL: model}
        self.attributes: Attributes = {gen_ai.PROVIDER_NAME: provider, **named, otel_genai.ENGINE_INDEX: index}
        self.last: WeakKeyDictionary[object, EngineStats] = WeakKeyDictionary()
        self.preemptions = 0
        self.prefix_cache_queries = 0
        self.prefix_cache_hits = 0


class Loads:
    """What the engines of one instrumentation have told."""

    def __init__(self) -> None:
        self._engines: dict[Name, _Engines] = {}
        # Reentrant, since the signal that ends a process may strike while it is held, and has the metrics collected.
        self._lock = RLock()

    def take(self, engine: object, load: EngineStats) -> Attributes:
        """Take a report down, and give the attributes of what is measured of it. `engine` is not kept alive."""
        name = load[:3]
        with self._lock:
            engines = self._engines.get(name)
            if engines is None:
                engines = self._engines[name] = _Engines(name)
            before = engines.last.get(engine)
            engines.last[engine] = load if before is None else _continued(before, load)
            engines.preemptions += load.preemptions
            engines.prefix_cache_queries += load.prefix_cache_queries
            engines.prefix_cache_hits += load.prefix_cache_hits
        return engines.attributes

    def read(self, metric: LoadMetric) -> list[tuple[float, Attributes]]:
        """The value of a gauge or a counter for each provider, model and index, as of now."""
        with self._lock:
            if metric.kind is Kind.COUNTER:
                return [(getattr(each, metric.field), each.attributes) for each in self._engines.values()]
            return [
                (value, each.attributes)
                for each in self._engines.values()
                if (value := _state(metric, each.last.values())) is not None
            ]

    def forget_states(self) -> None:
        """Nobody listens to the engines any more: how busy they are is unknown."""
        with self._lock:
            for engines in self._engines.values():
                engines.last.clear()

    def _begin_anew(self) -> None:
        self._engines = {}
        self._lock = RLock()


def _state(metric: LoadMetric, loads: Iterable[EngineStats]) -> float | None:
    values: list[float] = [value for load in loads if (value := getattr(load, metric.field)) is not None]
    if not values:
        return None
    # Shares cannot be added: of several caches, the fullest is the one that hurts.
    return max(values) if metric.unit == RATIO else sum(values)


def _continued(before: EngineStats, load: EngineStats) -> EngineStats:
    if load.running is not None and load.waiting is not None and load.kv_cache_utilization is not None:
        return load
    return load._replace(
        running=before.running if load.running is None else load.running,
        waiting=before.waiting if load.waiting is None else load.waiting,
        kv_cache_utilization=(
            before.kv_cache_utilization if load.kv_cache_utilization is None else load.kv_cache_utilization
        ),
    )


def shared(scope: str, meter_provider: object) -> Loads:
    """The loads of an instrumentation, for one meter provider; `None` is OpenTelemetry's global one.

    A gauge keeps for ever the function that it was given first, so whoever instruments anew goes on with the same loads.
    """
    # The provider is kept with them, so that no other can have its identity.
    return _shared.setdefault((scope, id(meter_provider)), (meter_provider, Loads()))[1]


_shared: Final[dict[tuple[str, int], tuple[object, Loads]]] = {}


def _leave_to_the_parent() -> None:
    for _, loads in _shared.values():
        loads._begin_anew()


if hasattr(os, "register_at_fork"):
    # The engines of the parent are the parent's to report.
    os.register_at_fork(after_in_child=_leave_to_the_parent)
