"""The engine's statistics for Prometheus, under the names that vLLM gives them (vllm 0.32 v1/metrics/loggers.py)."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from otel_genai.simulator.engine.statistics import Histogram, Statistics

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
FINISH_REASONS: Final = ("stop", "length", "abort")
_LABELS: Final = ("model_name", "engine")
_ENGINE: Final = "0"


def registry_of(statistics: Statistics, *, model: str) -> CollectorRegistry:
    """A registry of one engine's metrics alone. `model` is their label `model_name`; the label `engine` is "0"."""
    registry = CollectorRegistry()
    registry.register(_EngineCollector(statistics, model))
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """All metrics in Prometheus's text format, version 0.0.4."""
    return generate_latest(registry)


class _EngineCollector(Collector):
    """Reads the statistics whenever they are scraped."""

    def __init__(self, statistics: Statistics, model: str) -> None:
        self._statistics = statistics
        # The text format is UTF-8, which has no lone surrogates.
        self._labels = (model.encode("utf-8", "replace").decode(), _ENGINE)

    def collect(self) -> Iterator[Metric]:
        s = self._statistics
        yield self._gauge("vllm:num_requests_running", "Sequences that are worked on.", s.running)
        yield self._gauge("vllm:num_requests_waiting", "Sequences that wait to be worked on.", s.waiting)
        yield self._gauge("vllm:kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1.", s.kv_cache_utilization)
        yield self._counter("vllm:num_preemptions", "Sequences that had to make room.", s.preemptions)
        yield self._counter(
            "vllm:prefix_cache_queries", "Prompt tokens looked up in the cache.", s.prefix_cache_queries
        )
        yield self._counter("vllm:prefix_cache_hits", "Prompt tokens found in the cache.", s.prefix_cache_hits)
        yield self._counter("vllm:prompt_tokens", "Prompt tokens read.", s.prompt_tokens)
        yield self._counter("vllm:generation_tokens", "Tokens generated.", s.generation_tokens)
        finished = CounterMetricFamily(
            "vllm:request_success", "Sequences that have ended, by reason.", labels=(*_LABELS, "finished_reason")
        )
        for reason in FINISH_REASONS:
            finished.add_metric((*self._labels, reason), s.finished[reason])
        yield finished
        for name, described, histogram in (
            ("vllm:time_to_first_token_seconds", "From arrival to the first token.", s.time_to_first_token),
            ("vllm:inter_token_latency_seconds", "From one token to the next.", s.inter_token_latency),
            (
                "vllm:request_time_per_output_token_seconds",
                "Mean of a request's tokens after the first.",
                s.time_per_output_token,
            ),
            ("vllm:e2e_request_latency_seconds", "From arrival to the last token.", s.e2e_latency),
            ("vllm:request_queue_time_seconds", "From arrival to the first work.", s.queue_time),
            ("vllm:request_prefill_time_seconds", "From the first work to the first token.", s.prefill_time),
            ("vllm:request_decode_time_seconds", "From the first token to the last.", s.decode_time),
            ("vllm:iteration_tokens_total", "Tokens computed in a step.", s.iteration_tokens),
            (
                "otel_genai_simulator_step_lateness_seconds",
                "How late steps were done, since the simulator's own machine was busy.",
                s.step_lateness,
            ),
        ):
            yield self._histogram(name, described, histogram)

    def _gauge(self, name: str, described: str, value: float) -> Metric:
        gauge = GaugeMetricFamily(name, described, labels=_LABELS)
        gauge.add_metric(self._labels, value)
        return gauge

    def _counter(self, name: str, described: str, value: float) -> Metric:
        counter = CounterMetricFamily(name, described, labels=_LABELS)
        counter.add_metric(self._labels, value)
        return counter

    def _histogram(self, name: str, described: str, histogram: Histogram) -> Metric:
        bounds = (*map(str, map(float, histogram.bounds)), "+Inf")
        family = HistogramMetricFamily(name, described, labels=_LABELS)
        family.add_metric(
            self._labels, [*zip(bounds, accumulate(histogram.counts), strict=True)], sum_value=histogram.sum
        )
        return family
