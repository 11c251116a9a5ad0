"""The engine's statistics in Prometheus's text format, under the names that vLLM gives them. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.simulator.engine.statistics import Histogram, Statistics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
REASONS: Final = ("stop", "length", "abort")


def exposition(statistics: Statistics, *, model: str) -> str:
    """All metrics. `model` is their label `model_name`; there is one engine, "0"."""
    return "\n".join(_lines(statistics, f'engine="0",model_name="{_escaped(model)}"')) + "\n"


def _lines(s: Statistics, labels: str) -> Iterator[str]:
    yield from _gauge("vllm:num_requests_running", "Sequences that are worked on.", labels, s.running)
    yield from _gauge("vllm:num_requests_waiting", "Sequences that wait to be worked on.", labels, s.waiting)
    yield from _gauge(
        "vllm:kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1.", labels, s.kv_cache_utilization
    )
    yield from _counter("vllm:num_preemptions", "Sequences that had to make room.", labels, s.preemptions)
    yield from _counter(
        "vllm:prefix_cache_queries", "Prompt tokens looked up in the cache.", labels, s.prefix_cache_queries
    )
    yield from _counter("vllm:prefix_cache_hits", "Prompt tokens found in the cache.", labels, s.prefix_cache_hits)
    yield from _counter("vllm:prompt_tokens", "Prompt tokens read.", labels, s.prompt_tokens)
    yield from _counter("vllm:generation_tokens", "Tokens generated.", labels, s.generation_tokens)
    yield from _head("vllm:request_success_total", "Sequences that have ended, by reason.", "counter")
    for reason in REASONS:
        yield f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {s.finished[reason]}'
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
        yield from _histogram(name, described, labels, histogram)


def _head(name: str, described: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {described}"
    yield f"# TYPE {name} {kind}"


def _gauge(name: str, described: str, labels: str, value: float) -> Iterator[str]:
    yield from _head(name, described, "gauge")
    yield f"{name}{{{labels}}} {value}"


def _counter(name: str, described: str, labels: str, value: float) -> Iterator[str]:
    yield from _head(f"{name}_total", described, "counter")
    yield f"{name}_total{{{labels}}} {value}"


def _histogram(name: str, described: str, labels: str, histogram: Histogram) -> Iterator[str]:
    yield from _head(name, described, "histogram")
    below = 0
    for le, count in zip((*map(float, histogram.bounds), "+Inf"), histogram.counts, strict=True):
        below += count
        yield f'{name}_bucket{{{labels},le="{le}"}} {below}'
    yield f"{name}_sum{{{labels}}} {histogram.sum}"
    yield f"{name}_count{{{labels}}} {below}"


def _escaped(value: str) -> str:
    # What is no character cannot be sent as UTF-8 either.
    printable = value.encode("utf-8", "replace").decode()
    return printable.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
