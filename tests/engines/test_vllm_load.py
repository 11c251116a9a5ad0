"""The load of a real engine in this process, beside what vLLM's own Prometheus metrics say of the same run."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, Final

import pytest

from otel_genai.instrumentors.vllm.instrumentor import VllmInstrumentor
from tests.engines.vllm_in_process import MODEL, make_llm
from tests.support.providers import Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# What vLLM and torch warn of at import is theirs. One event loop, since an engine belongs to the one that it was first used in.
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore"), pytest.mark.asyncio(loop_scope="session")]

STORY: Final = "The keeper of the lighthouse counted the ships that passed before the fog came in. " * 2
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
APART_S: Final = 0.1
"""Ours begin where they enter the engine; vLLM takes the time when it has read them, earlier or later."""


@pytest.fixture
def instrument() -> Iterator[Callable[..., Recorded]]:
    """Switches instrumentation on, and says where what it reports is kept."""
    instrumentor = VllmInstrumentor()

    def switch_on(**options: Any) -> Recorded:
        recorded = Recorded()
        instrumentor.instrument(**recorded.providers, **options)
        return recorded

    yield switch_on
    instrumentor.uninstrument()


def counted(engine: Any) -> dict[str, float]:
    """What vLLM's own metrics of this engine stand at, by name, and `name<=bound`."""
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
    """Upper bound → how many values are not above it."""
    (point,) = recorded.metrics()[name]
    bounds = (*point.explicit_bounds, float("inf"))
    return {f"<={float(bound)}": sum(point.bucket_counts[: position + 1]) for position, bound in enumerate(bounds)}


def agree(recorded: Recorded, before: dict[str, float], after: dict[str, float], *, requests: int) -> None:
    """Check that what we counted is what vLLM counted meanwhile."""
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
        assert seconds == pytest.approx(theirs[f"{their}_sum"], abs=requests * APART_S)


def test_load_is_what_vllm_itself_counts(tiny_model: Path, instrument: Callable[..., Recorded]) -> None:
    from vllm import SamplingParams

    recorded = instrument()
    # Three sequences, and room for two that have grown.
    engine = make_llm(tiny_model, max_model_len=256, max_num_seqs=3, num_gpu_blocks_override=10).llm_engine
    for number in range(4):
        engine.add_request(str(number), STORY, SamplingParams(max_tokens=120, ignore_eos=True, temperature=0))
    seen: set[tuple[float, ...]] = set()
    while engine.has_unfinished_requests():
        engine.step()
        told = counted(engine)
        now = tuple(value(recorded, name) for name in GAUGES)
        assert now == tuple(told[name] for name in GAUGES.values())
        seen.add(now)
    agree(recorded, {}, counted(engine), requests=4)
    # The run was worth it: requests waited, were preempted, and found what the cache had seen before.
    assert max(running for running, _, _ in seen) == 3
    assert max(waiting for _, waiting, _ in seen) >= 1
    assert max(utilization for _, _, utilization in seen) > 0.5
    assert all(value(recorded, name) > 0 for name in COUNTERS)
    assert [value(recorded, name) for name in GAUGES][:2] == [0, 0]

    # To end an engine ends all others of the process; to take what it tells with away from it is enough.
    engine.logger_manager = None
    gc.collect()
    assert GAUGES.keys().isdisjoint(recorded.metrics())
    assert value(recorded, PREEMPTIONS) > 0


async def test_so_is_that_of_an_asynchronous_engine(async_llm: Any, instrument: Callable[..., Recorded]) -> None:
    from vllm import SamplingParams

    async def generate(number: int) -> None:
        params = SamplingParams(max_tokens=8 + number, ignore_eos=True, temperature=0)
        async for _ in async_llm.generate(STORY * 2, params, f"load-{number}"):
            pass

    before = counted(async_llm)
    recorded = instrument()
    await asyncio.gather(*(generate(number) for number in range(8)))
    after = counted(async_llm)
    assert [value(recorded, name) for name in GAUGES] == [after[name] for name in GAUGES.values()]
    agree(recorded, before, after, requests=8)


def test_an_engine_without_statistics_is_left_so(silent_llm: Any, instrument: Callable[..., Recorded]) -> None:
    from vllm import SamplingParams

    recorded = instrument()
    silent_llm.generate([STORY], SamplingParams(max_tokens=4, ignore_eos=True), use_tqdm=False)
    assert silent_llm.llm_engine.log_stats is False
    assert silent_llm.llm_engine.logger_manager is None
    metrics = recorded.metrics()
    assert {*GAUGES, *COUNTERS, BATCH, "otel_genai.engine.queue.duration"}.isdisjoint(metrics)
    assert REQUESTS.keys() <= metrics.keys()


def test_engine_stats_has_them_kept(tiny_model: Path, instrument: Callable[..., Recorded]) -> None:
    from vllm import SamplingParams

    recorded = instrument(engine_stats=True)
    llm = make_llm(tiny_model, disable_log_stats=True)
    llm.generate([STORY], SamplingParams(max_tokens=4, ignore_eos=True), use_tqdm=False)
    assert llm.llm_engine.log_stats is True
    agree(recorded, {}, counted(llm.llm_engine), requests=1)
