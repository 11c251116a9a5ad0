"""Statistics of a real engine in this process equal vLLM's own Prometheus metrics of the same run."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, Final

import pytest

from otel_genai.instrumentors.vllm.instrumentor import VllmInstrumentor
from tests.support.providers import Recorded
from tests.support.vllm.in_process import MODEL, make_llm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# vLLM and torch warn at import. An engine belongs to the event loop of its first use: one loop for the session.
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore"), pytest.mark.asyncio(loop_scope="session")]

PROMPT: Final = "The keeper of the lighthouse counted the ships that passed before the fog came in. " * 2
RUNNING: Final = "otel_genai.engine.requests.running"
WAITING: Final = "otel_genai.engine.requests.waiting"
UTILIZATION: Final = "otel_genai.engine.kv_cache.utilization"
GAUGES: Final = {
    RUNNING: "vllm:num_requests_running",
    WAITING: "vllm:num_requests_waiting",
    UTILIZATION: "vllm:kv_cache_usage_perc",
}
BATCH: Final = "otel_genai.engine.batch.tokens"
STEPS: Final = "vllm:iteration_tokens_total"
PREEMPTIONS: Final = "otel_genai.engine.preemptions"
COUNTERS: Final = {
    PREEMPTIONS: "vllm:num_preemptions_total",
    "otel_genai.engine.prefix_cache.queries": "vllm:prefix_cache_queries_total",
    "otel_genai.engine.prefix_cache.hits": "vllm:prefix_cache_hits_total",
}
PHASES: Final = {
    "otel_genai.engine.queue.duration": "vllm:request_queue_time_seconds",
    "otel_genai.engine.prefill.duration": "vllm:request_prefill_time_seconds",
    "otel_genai.engine.decode.duration": "vllm:request_decode_time_seconds",
}
REQUESTS: Final = {
    "gen_ai.server.request.duration": "vllm:e2e_request_latency_seconds",
    "gen_ai.server.time_to_first_token": "vllm:time_to_first_token_seconds",
}
TOLERANCE_S: Final = 0.1
"""Our clock for a request starts in `add_request`; vLLM's starts once the request is read."""


@pytest.fixture
def instrument() -> Iterator[Callable[..., Recorded]]:
    """A function that instruments vLLM and returns the in-memory telemetry."""
    instrumentor = VllmInstrumentor()

    def switch_on(**options: Any) -> Recorded:
        recorded = Recorded()
        instrumentor.instrument(**recorded.providers, **options)
        return recorded

    yield switch_on
    instrumentor.uninstrument()


def vllm_metrics(engine: Any) -> dict[str, float]:
    """The values of vLLM's own metrics of this engine, by name, and of buckets by `name<=bound`."""
    (prometheus,) = [each for each in engine.logger_manager.stat_loggers if hasattr(each, "gauge_scheduler_running")]
    return {
        sample.name + (f"<={float(sample.labels['le'])}" if "le" in sample.labels else ""): sample.value
        for by_engine in vars(prometheus).values()
        if isinstance(by_engine, dict) and hasattr(by_engine.get(0), "collect")
        for metric in by_engine[0].collect()
        for sample in metric.samples
    }


def value(recorded: Recorded, name: str) -> float:
    """The value of our gauge or counter."""
    (point,) = recorded.metrics()[name]
    assert dict(point.attributes) == {
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": MODEL,
        "otel_genai.engine.index": 0,
    }
    return float(point.value)


def total(recorded: Recorded, name: str) -> tuple[int, float]:
    """Count and sum of our histogram."""
    points = recorded.metrics()[name]
    return sum(point.count for point in points), sum(point.sum for point in points)


def buckets(recorded: Recorded, name: str) -> dict[str, int]:
    """Upper bound → number of values up to it."""
    (point,) = recorded.metrics()[name]
    bounds = (*point.explicit_bounds, float("inf"))
    return {f"<={float(bound)}": sum(point.bucket_counts[: position + 1]) for position, bound in enumerate(bounds)}


def assert_equal_metrics(
    recorded: Recorded, before: dict[str, float], after: dict[str, float], *, requests: int
) -> None:
    """Our metrics equal the difference of vLLM's before and after."""
    theirs = {name: after[name] - before.get(name, 0) for name in after}
    for name, their in COUNTERS.items():
        assert value(recorded, name) == theirs[their], name
    assert total(recorded, BATCH) == (theirs[f"{STEPS}_count"], theirs[f"{STEPS}_sum"])
    assert (
        buckets(recorded, BATCH).items()
        == {
            name.removeprefix(f"{STEPS}_bucket"): count
            for name, count in theirs.items()
            if name.startswith(f"{STEPS}_bucket")
        }.items()
    )
    for name, their in PHASES.items():
        count, seconds = total(recorded, name)
        assert count == theirs[f"{their}_count"] == requests
        assert seconds == pytest.approx(theirs[f"{their}_sum"], abs=1e-6)
    for name, their in REQUESTS.items():
        count, seconds = total(recorded, name)
        assert count == theirs[f"{their}_count"] == requests
        assert seconds == pytest.approx(theirs[f"{their}_sum"], abs=requests * TOLERANCE_S)


def test_an_engines_statistics_equal_vllms_metrics(tiny_model: Path, instrument: Callable[..., Recorded]) -> None:
    from vllm import SamplingParams

    recorded = instrument()
    # Three sequences at a time, and KV cache for two long ones.
    engine = make_llm(tiny_model, max_model_len=256, max_num_seqs=3, num_gpu_blocks_override=10).llm_engine
    for number in range(4):
        engine.add_request(str(number), PROMPT, SamplingParams(max_tokens=120, ignore_eos=True, temperature=0))
    seen: set[tuple[float, ...]] = set()
    while engine.has_unfinished_requests():
        engine.step()
        theirs = vllm_metrics(engine)
        now = tuple(value(recorded, name) for name in GAUGES)
        assert now == tuple(theirs[name] for name in GAUGES.values())
        seen.add(now)
    assert_equal_metrics(recorded, {}, vllm_metrics(engine), requests=4)
    # Requests waited, were preempted, and hit the prefix cache.
    assert max(running for running, _, _ in seen) == 3
    assert max(waiting for _, waiting, _ in seen) >= 1
    assert max(utilization for _, _, utilization in seen) > 0.5
    assert all(value(recorded, name) > 0 for name in COUNTERS)
    assert [value(recorded, name) for name in GAUGES][:2] == [0, 0]

    # The end of an engine would end all others of the process. Without its loggers this one reports nothing.
    engine.logger_manager = None
    gc.collect()
    assert GAUGES.keys().isdisjoint(recorded.metrics())
    assert value(recorded, PREEMPTIONS) > 0


async def test_an_asynchronous_engines_statistics_equal_vllms_metrics(
    async_llm: Any, instrument: Callable[..., Recorded]
) -> None:
    from vllm import SamplingParams

    async def generate(number: int) -> None:
        params = SamplingParams(max_tokens=8 + number, ignore_eos=True, temperature=0)
        async for _ in async_llm.generate(PROMPT * 2, params, f"load-{number}"):
            pass

    before = vllm_metrics(async_llm)
    recorded = instrument()
    await asyncio.gather(*(generate(number) for number in range(8)))
    after = vllm_metrics(async_llm)
    assert [value(recorded, name) for name in GAUGES] == [after[name] for name in GAUGES.values()]
    assert_equal_metrics(recorded, before, after, requests=8)


def test_statistics_stay_off_by_default(silent_llm: Any, instrument: Callable[..., Recorded]) -> None:
    from vllm import SamplingParams

    recorded = instrument()
    silent_llm.generate([PROMPT], SamplingParams(max_tokens=4, ignore_eos=True), use_tqdm=False)
    assert silent_llm.llm_engine.log_stats is False
    assert silent_llm.llm_engine.logger_manager is None
    metrics = recorded.metrics()
    assert {*GAUGES, *COUNTERS, BATCH, "otel_genai.engine.queue.duration"}.isdisjoint(metrics)
    assert REQUESTS.keys() <= metrics.keys()


def test_the_setting_engine_stats_turns_statistics_on(tiny_model: Path, instrument: Callable[..., Recorded]) -> None:
    from vllm import SamplingParams

    recorded = instrument(engine_stats=True)
    llm = make_llm(tiny_model, disable_log_stats=True)
    llm.generate([PROMPT], SamplingParams(max_tokens=4, ignore_eos=True), use_tqdm=False)
    assert llm.llm_engine.log_stats is True
    assert_equal_metrics(recorded, {}, vllm_metrics(llm.llm_engine), requests=1)
