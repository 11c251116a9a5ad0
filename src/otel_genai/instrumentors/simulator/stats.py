"""What the simulator's engines tell of their load, after every step and whenever a request comes or goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_genai.operation import EngineStats
from otel_genai.semconv import otel_genai

if TYPE_CHECKING:
    from otel_genai.endpoint.endpoint import Arguments


def load(arguments: Arguments) -> EngineStats:
    """What a call of `Journal.loaded` tells."""
    told = arguments.args[0]
    return EngineStats(
        provider=otel_genai.SIMULATOR,
        model=arguments.instance.model,
        running=told.running,
        waiting=told.waiting,
        kv_cache_utilization=told.kv_cache_utilization,
        batch_tokens=told.batch_tokens,
        preemptions=told.preemptions,
        prefix_cache_queries=told.prefix_cache_queries,
        prefix_cache_hits=told.prefix_cache_hits,
    )
