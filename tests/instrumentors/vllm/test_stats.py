"""Statistics of vLLM's engines, version by version: stubs have the signatures and fields of the real classes."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.config import Config
from otel_genai.endpoint.server_rows import ArgumentRow, StatsRow
from otel_genai.instrumentors.vllm.instrumentor import VllmInstrumentor
from otel_genai.patching.patches import Patches
from otel_genai.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.providers import Recorded

RUNNING = "otel_genai.engine.requests.running"
WAITING = "otel_genai.engine.requests.waiting"
UTILIZATION = "otel_genai.engine.kv_cache.utilization"
BATCH = "otel_genai.engine.batch.tokens"
PREEMPTIONS = "otel_genai.engine.preemptions"
QUERIES = "otel_genai.engine.prefix_cache.queries"
HITS = "otel_genai.engine.prefix_cache.hits"

# ── statistics of vLLM's versions ──────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Cache:
    queries: int = 0
    hits: int = 0


@dataclass
class Scheduler08:
    num_running_reqs: int = 0
    num_waiting_reqs: int = 0
    gpu_cache_usage: float = 0.0
    prefix_cache_stats: Cache = field(default_factory=Cache)


@dataclass
class Scheduler10:
    num_running_reqs: int = 0
    num_waiting_reqs: int = 0
    kv_cache_usage: float = 0.0
    prefix_cache_stats: Cache = field(default_factory=Cache)


@dataclass
class Scheduler32(Scheduler10):
    num_skipped_waiting_reqs: int = 0


@dataclass
class Iteration08:
    num_prompt_tokens: int = 0
    num_generation_tokens: int = 0
    num_preempted_reqs: int = 0


@dataclass
class Prompts:
    computed: int = 0
    total: int = 0


@dataclass
class Iteration32:
    prompt_token_stats: Prompts = field(default_factory=Prompts)
    num_generation_tokens: int = 0
    num_preempted_reqs: int = 0

    @property
    def num_prompt_tokens(self) -> int:
        return self.prompt_token_stats.total


CONFIG = types.SimpleNamespace(model_config=types.SimpleNamespace(served_model_name="tiny"))


def module(name: str) -> Any:
    made: Any = types.ModuleType(name)
    sys.modules[name] = made
    return made


@pytest.fixture
def vllm() -> Iterator[Any]:
    """Stub modules of the newest version, with new classes for every test."""

    class PrometheusStatLogger:
        def __init__(self, vllm_config: Any, engine_indexes: list[int] | None = None) -> None:
            self.vllm_config = vllm_config

        def record(
            self, scheduler_stats: Any, iteration_stats: Any, mm_cache_stats: Any = None, engine_idx: int = 0
        ) -> None:
            pass

    class Engine:
        def __init__(self, vllm_config: Any, executor_class: type, log_stats: bool, *rest: Any, **more: Any) -> None:
            self.log_stats = log_stats

    names = ("vllm.v1.metrics.loggers", "vllm.v1.engine.llm_engine", "vllm.v1.engine.async_llm")
    loggers, llm_engine, async_llm = (module(name) for name in names)
    loggers.PrometheusStatLogger = PrometheusStatLogger
    llm_engine.LLMEngine = type("LLMEngine", (), {"__init__": Engine.__init__})
    async_llm.AsyncLLM = type("AsyncLLM", (), {"__init__": Engine.__init__})
    yield types.SimpleNamespace(loggers=loggers, LLMEngine=llm_engine.LLMEngine, AsyncLLM=async_llm.AsyncLLM)
    for name in names:
        del sys.modules[name]


def patched(recorded: Recorded, config: Config) -> Patches:
    # The rows of requests need more of vLLM than these stubs have.
    rows = [row for row in VllmInstrumentor().rows_for(config) if isinstance(row, StatsRow | ArgumentRow)]
    patches = Patches(rows, lambda: Telemetry("vllm", "1", config, **recorded.providers))
    patches.apply()
    return patches


@pytest.fixture
def instrumented(vllm: Any, recorded: Recorded) -> Iterator[Any]:
    patches = patched(recorded, Config())
    yield vllm
    patches.revert()


def values(recorded: Recorded) -> dict[str, Any]:
    """Metric name → value, or (count, sum), of its one data point."""
    return {
        name: point.value if hasattr(point, "value") else (point.count, point.sum)
        for name, (point,) in recorded.metrics().items()
    }


def common_attributes(recorded: Recorded) -> dict[str, Any]:
    """The attributes of all data points, which are equal."""
    (attributes,) = {tuple(sorted(point.attributes.items())) for (point,) in recorded.metrics().values()}
    return dict(attributes)


# ── metrics of a step ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_step_of_the_newest_version(instrumented: Any, recorded: Recorded) -> None:
    logger = instrumented.loggers.PrometheusStatLogger(CONFIG, [0, 3])
    logger.record(
        Scheduler32(5, 2, 0.25, Cache(96, 64), num_skipped_waiting_reqs=3),
        Iteration32(Prompts(computed=40, total=104), 5, 1),
        mm_cache_stats=None,
        engine_idx=3,
    )
    assert values(recorded) == {
        RUNNING: 5,
        WAITING: 5,
        UTILIZATION: 0.25,
        BATCH: (1, 45),
        PREEMPTIONS: 1,
        QUERIES: 96,
        HITS: 64,
    }
    assert common_attributes(recorded) == {
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "tiny",
        "otel_genai.engine.index": 3,
    }


def test_a_step_without_iteration_stats_has_no_batch_tokens(instrumented: Any, recorded: Recorded) -> None:
    logger = instrumented.loggers.PrometheusStatLogger(CONFIG)
    logger.record(scheduler_stats=Scheduler32(1, 0, 0.5), iteration_stats=None, mm_cache_stats=None, engine_idx=0)
    assert values(recorded) == {RUNNING: 1, WAITING: 0, UTILIZATION: 0.5, PREEMPTIONS: 0, QUERIES: 0, HITS: 0}


def test_a_step_without_scheduler_stats_keeps_the_last_gauges(instrumented: Any, recorded: Recorded) -> None:
    logger = instrumented.loggers.PrometheusStatLogger(CONFIG)
    logger.record(Scheduler32(1, 2, 0.5), None)
    logger.record(None, Iteration32(num_generation_tokens=7))
    assert values(recorded) == {
        RUNNING: 1,
        WAITING: 2,
        UTILIZATION: 0.5,
        BATCH: (1, 7),
        PREEMPTIONS: 0,
        QUERIES: 0,
        HITS: 0,
    }


def test_a_step_without_tokens_is_counted(instrumented: Any, recorded: Recorded) -> None:
    instrumented.loggers.PrometheusStatLogger(CONFIG).record(None, Iteration32())
    assert values(recorded)[BATCH] == (1, 0)


def test_a_step_without_statistics_records_nothing(instrumented: Any, recorded: Recorded) -> None:
    instrumented.loggers.PrometheusStatLogger(CONFIG).record(None, None)
    assert recorded.metrics() == {}


def test_in_0_10_the_index_is_the_third_argument(vllm: Any, recorded: Recorded) -> None:
    class PrometheusStatLogger:
        vllm_config = CONFIG

        def record(self, scheduler_stats: Any, iteration_stats: Any, engine_idx: int = 0) -> None:
            pass

    vllm.loggers.PrometheusStatLogger = PrometheusStatLogger
    patches = patched(recorded, Config())
    logger = PrometheusStatLogger()
    logger.record(Scheduler10(5, 2, 0.25, Cache(96, 64)), Iteration08(30, 4, 1), 2)
    assert values(recorded)[BATCH] == (1, 34)
    assert values(recorded)[WAITING] == 2
    assert common_attributes(recorded)["otel_genai.engine.index"] == 2
    patches.revert()


def test_in_0_9_the_logger_has_the_index(vllm: Any, recorded: Recorded) -> None:
    class PrometheusStatLogger:
        vllm_config = CONFIG

        def __init__(self, engine_index: int) -> None:
            self.engine_index = engine_index

        def record(self, scheduler_stats: Any, iteration_stats: Any) -> None:
            pass

    vllm.loggers.PrometheusStatLogger = PrometheusStatLogger
    patches = patched(recorded, Config())
    logger = PrometheusStatLogger(1)
    logger.record(scheduler_stats=Scheduler08(5, 2, 0.25, Cache(96, 64)), iteration_stats=Iteration08())
    assert values(recorded)[UTILIZATION] == 0.25
    assert values(recorded)[QUERIES] == 96
    assert common_attributes(recorded)["otel_genai.engine.index"] == 1
    patches.revert()


def test_in_0_8_there_is_no_model_name_and_no_cache_metric(vllm: Any, recorded: Recorded) -> None:
    class PrometheusStatLogger:
        def record(self, scheduler_stats: Any, iteration_stats: Any) -> None:
            pass

    vllm.loggers.PrometheusStatLogger = PrometheusStatLogger
    patches = patched(recorded, Config())
    logger = PrometheusStatLogger()
    logger.record(scheduler_stats=Scheduler08(5, 2, 0.25, Cache(6, 4)), iteration_stats=Iteration08(30, 4, 1))
    assert values(recorded) == {
        RUNNING: 5,
        WAITING: 2,
        UTILIZATION: 0.25,
        BATCH: (1, 34),
        PREEMPTIONS: 1,
        QUERIES: 0,
        HITS: 0,
    }
    assert common_attributes(recorded) == {"gen_ai.provider.name": "vllm", "otel_genai.engine.index": 0}
    patches.revert()


# ── statistics on and off ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("engine", ["LLMEngine", "AsyncLLM"])
def test_by_default_the_application_decides_on_statistics(instrumented: Any, engine: str) -> None:
    make = getattr(instrumented, engine)
    assert make("config", object, False).log_stats is False
    assert make(vllm_config="config", executor_class=object, log_stats=True).log_stats is True


@pytest.mark.parametrize("engine", ["LLMEngine", "AsyncLLM"])
def test_the_setting_engine_stats_turns_statistics_on(vllm: Any, recorded: Recorded, engine: str) -> None:
    patches = patched(recorded, Config(engine_stats=True))
    make = getattr(vllm, engine)
    assert make("config", object, False).log_stats is True
    assert make(vllm_config="config", executor_class=object, log_stats=False, more=1).log_stats is True
    patches.revert()
    assert make("config", object, False).log_stats is False


def test_engine_stats_is_set_by_argument_or_environment() -> None:
    variable = {"OTEL_GENAI_ENGINE_STATS": "true"}
    assert Config.from_environment({}).engine_stats is False
    assert Config.from_environment(variable).engine_stats is True
    assert Config.from_environment({}, engine_stats=True).engine_stats is True
    assert Config.from_environment(variable, engine_stats=False).engine_stats is False
    with pytest.raises(ValueError, match="engine_stats= takes True or False"):
        Config.from_environment({}, engine_stats="yes")  # type: ignore[arg-type]
