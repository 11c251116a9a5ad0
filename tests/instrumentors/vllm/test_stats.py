"""The load of vLLM's engines, as each of its versions tells it: stand-ins with the signatures and fields of the real ones."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.config import Config
from otel_genai.endpoint.rows import ArgumentRow, StatsRow
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

# ── what the versions have in common, and what not ─────────────────────────────────────────────────────────────────────


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
    """The modules of a vLLM that is not there, newest version; the classes are new for every test."""

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
    # Requests are none of these tests' business, and their rows ask for more of vLLM than there is.
    rows = [row for row in VllmInstrumentor().rows_for(config) if isinstance(row, StatsRow | ArgumentRow)]
    patches = Patches(rows, lambda: Telemetry("vllm", "1", config, **recorded.providers))
    patches.apply()
    return patches


@pytest.fixture
def instrumented(vllm: Any, recorded: Recorded) -> Iterator[Any]:
    patches = patched(recorded, Config())
    yield vllm
    patches.revert()


def told(recorded: Recorded) -> dict[str, Any]:
    """Name → value, or count and sum; there is one point of each."""
    return {
        name: point.value if hasattr(point, "value") else (point.count, point.sum)
        for name, (point,) in recorded.metrics().items()
    }


def where(recorded: Recorded) -> dict[str, Any]:
    """The attributes that all metrics have."""
    (attributes,) = {tuple(sorted(point.attributes.items())) for (point,) in recorded.metrics().values()}
    return dict(attributes)


# ── what is told ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_step_of_the_newest_version(instrumented: Any, recorded: Recorded) -> None:
    logger = instrumented.loggers.PrometheusStatLogger(CONFIG, [0, 3])
    logger.record(
        Scheduler32(5, 2, 0.25, Cache(96, 64), num_skipped_waiting_reqs=3),
        Iteration32(Prompts(computed=40, total=104), 5, 1),
        mm_cache_stats=None,
        engine_idx=3,
    )
    assert told(recorded) == {
        RUNNING: 5,
        WAITING: 5,
        UTILIZATION: 0.25,
        BATCH: (1, 45),
        PREEMPTIONS: 1,
        QUERIES: 96,
        HITS: 64,
    }
    assert where(recorded) == {
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "tiny",
        "otel_genai.engine.index": 3,
    }


def test_a_step_that_gave_nothing_out_tells_of_the_queue_alone(instrumented: Any, recorded: Recorded) -> None:
    logger = instrumented.loggers.PrometheusStatLogger(CONFIG)
    logger.record(scheduler_stats=Scheduler32(1, 0, 0.5), iteration_stats=None, mm_cache_stats=None, engine_idx=0)
    assert told(recorded) == {RUNNING: 1, WAITING: 0, UTILIZATION: 0.5, PREEMPTIONS: 0, QUERIES: 0, HITS: 0}


def test_a_step_without_a_scheduler_leaves_the_queue_as_it_was(instrumented: Any, recorded: Recorded) -> None:
    logger = instrumented.loggers.PrometheusStatLogger(CONFIG)
    logger.record(Scheduler32(1, 2, 0.5), None)
    logger.record(None, Iteration32(num_generation_tokens=7))
    assert told(recorded) == {
        RUNNING: 1,
        WAITING: 2,
        UTILIZATION: 0.5,
        BATCH: (1, 7),
        PREEMPTIONS: 0,
        QUERIES: 0,
        HITS: 0,
    }


def test_a_step_that_computed_nothing_is_a_step(instrumented: Any, recorded: Recorded) -> None:
    instrumented.loggers.PrometheusStatLogger(CONFIG).record(None, Iteration32())
    assert told(recorded)[BATCH] == (1, 0)


def test_nothing_is_told_of_nothing(instrumented: Any, recorded: Recorded) -> None:
    instrumented.loggers.PrometheusStatLogger(CONFIG).record(None, None)
    assert recorded.metrics() == {}


def test_the_index_is_read_where_0_10_passes_it(vllm: Any, recorded: Recorded) -> None:
    class PrometheusStatLogger:
        vllm_config = CONFIG

        def record(self, scheduler_stats: Any, iteration_stats: Any, engine_idx: int = 0) -> None:
            pass

    vllm.loggers.PrometheusStatLogger = PrometheusStatLogger
    patches = patched(recorded, Config())
    logger = PrometheusStatLogger()
    logger.record(Scheduler10(5, 2, 0.25, Cache(96, 64)), Iteration08(30, 4, 1), 2)
    assert told(recorded)[BATCH] == (1, 34)
    assert told(recorded)[WAITING] == 2
    assert where(recorded)["otel_genai.engine.index"] == 2
    patches.revert()


def test_in_0_9_each_engine_has_a_logger(vllm: Any, recorded: Recorded) -> None:
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
    assert told(recorded)[UTILIZATION] == 0.25
    assert told(recorded)[QUERIES] == 96
    assert where(recorded)["otel_genai.engine.index"] == 1
    patches.revert()


def test_in_0_8_nobody_knows_the_model_and_the_cache_counts_blocks(vllm: Any, recorded: Recorded) -> None:
    class PrometheusStatLogger:
        def record(self, scheduler_stats: Any, iteration_stats: Any) -> None:
            pass

    vllm.loggers.PrometheusStatLogger = PrometheusStatLogger
    patches = patched(recorded, Config())
    logger = PrometheusStatLogger()
    logger.record(scheduler_stats=Scheduler08(5, 2, 0.25, Cache(6, 4)), iteration_stats=Iteration08(30, 4, 1))
    assert told(recorded) == {
        RUNNING: 5,
        WAITING: 2,
        UTILIZATION: 0.25,
        BATCH: (1, 34),
        PREEMPTIONS: 1,
        QUERIES: 0,
        HITS: 0,
    }
    assert where(recorded) == {"gen_ai.provider.name": "vllm", "otel_genai.engine.index": 0}
    patches.revert()


# ── statistics on and off ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("engine", ["LLMEngine", "AsyncLLM"])
def test_statistics_are_the_programs_affair(instrumented: Any, engine: str) -> None:
    make = getattr(instrumented, engine)
    assert make("config", object, False).log_stats is False
    assert make(vllm_config="config", executor_class=object, log_stats=True).log_stats is True


@pytest.mark.parametrize("engine", ["LLMEngine", "AsyncLLM"])
def test_engine_stats_has_every_engine_keep_them(vllm: Any, recorded: Recorded, engine: str) -> None:
    patches = patched(recorded, Config(engine_stats=True))
    make = getattr(vllm, engine)
    assert make("config", object, False).log_stats is True
    assert make(vllm_config="config", executor_class=object, log_stats=False, more=1).log_stats is True
    patches.revert()
    assert make("config", object, False).log_stats is False


def test_engine_stats_can_be_asked_for_by_argument_and_by_environment() -> None:
    variable = {"OTEL_GENAI_ENGINE_STATS": "true"}
    assert Config.from_environment({}).engine_stats is False
    assert Config.from_environment(variable).engine_stats is True
    assert Config.from_environment({}, engine_stats=True).engine_stats is True
    assert Config.from_environment(variable, engine_stats=False).engine_stats is False
    with pytest.raises(ValueError, match="engine_stats= takes True or False"):
        Config.from_environment({}, engine_stats="yes")  # type: ignore[arg-type]
