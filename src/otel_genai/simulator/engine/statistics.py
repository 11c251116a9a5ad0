"""Counts and times of an engine's work, as Prometheus counts them: totals since the start, and histograms."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Final

# vLLM's buckets (vllm 0.32 v1/metrics/loggers.py), so that its dashboards read ours.
FIRST_TOKEN_BUCKETS: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
)  # fmt: skip
TOKEN_BUCKETS: Final = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
)  # fmt: skip
REQUEST_BUCKETS: Final = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
)  # fmt: skip
STEP_BUCKETS: Final = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
LATENESS_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Histogram:
    """Counts of values, by upper bound (inclusive)."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """For each bound, the values above the bound before it; at the end, the values above all bounds."""
        self.sum = 0.0

    @property
    def count(self) -> int:
        """All values."""
        return sum(self.counts)

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Statistics:
    """An engine's counts since its start, and its state now. Times are in seconds."""

    def __init__(self) -> None:
        self.running = 0
        self.waiting = 0
        self.kv_cache_utilization = 0.0
        self.prompt_tokens = 0
        self.generation_tokens = 0
        self.preemptions = 0
        self.prefix_cache_queries = 0
        self.prefix_cache_hits = 0
        self.finished = Counter[str]()
        """Sequences by finish reason: stop, length or abort."""
        self.time_to_first_token = Histogram(FIRST_TOKEN_BUCKETS)
        self.inter_token_latency = Histogram(TOKEN_BUCKETS)
        self.time_per_output_token = Histogram(TOKEN_BUCKETS)
        self.e2e_latency = Histogram(REQUEST_BUCKETS)
        self.queue_time = Histogram(REQUEST_BUCKETS)
        self.prefill_time = Histogram(REQUEST_BUCKETS)
        self.decode_time = Histogram(REQUEST_BUCKETS)
        self.iteration_tokens = Histogram(STEP_BUCKETS)
        self.step_lateness = Histogram(LATENESS_BUCKETS)
        """Delay of steps after their due time, which a busy machine causes."""
