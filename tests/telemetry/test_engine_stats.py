"""Engine metrics: what engines report becomes gauges, counters and a histogram."""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.config import Config
from otel_genai.operation import EngineStats, Side
from tests.support.engine_metrics import RUNNING, report, stats, telemetry, values
from tests.support.providers import Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator

WAITING = "otel_genai.engine.requests.waiting"
UTILIZATION = "otel_genai.engine.kv_cache.utilization"
BATCH = "otel_genai.engine.batch.tokens"
PREEMPTIONS = "otel_genai.engine.preemptions"
QUERIES = "otel_genai.engine.prefix_cache.queries"
HITS = "otel_genai.engine.prefix_cache.hits"


class Engine:
    """Any object will do."""


def test_a_report_is_seven_metrics(recorded: Recorded) -> None:
    engine = Engine()
    telemetry(recorded).report_engine(
        engine,
        stats(
            running=3,
            waiting=5,
            kv_cache_utilization=0.25,
            batch_tokens=40,
            preemptions=1,
            prefix_cache_queries=64,
            prefix_cache_hits=32,
        ),
    )
    metrics = recorded.metrics()
    found = {name: [getattr(point, "value", None) for point in points] for name, points in metrics.items()}
    assert found == {
        RUNNING: [3],
        WAITING: [5],
        UTILIZATION: [0.25],
        BATCH: [None],
        PREEMPTIONS: [1],
        QUERIES: [64],
        HITS: [32],
    }
    (batch,) = metrics[BATCH]
    assert (batch.count, batch.sum) == (1, 40)
    for (point,) in metrics.values():
        assert dict(point.attributes) == {
            "gen_ai.provider.name": "toy",
            "gen_ai.request.model": "m",
            "otel_genai.engine.index": 0,
        }
    assert recorded.schema_urls() == {"https://opentelemetry.io/schemas/1.41.0"}


def test_without_an_engine_there_is_no_instrument_for_one(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    created: list[str] = []
    meter = type(recorded.meter_provider.get_meter("any"))
    for kind in ("histogram", "counter", "observable_gauge", "observable_counter"):
        create = getattr(meter, f"create_{kind}")

        def creating(self: Any, name: str, *args: Any, create: Any = create, **kwargs: Any) -> Any:
            created.append(name)
            return create(self, name, *args, **kwargs)

        monkeypatch.setattr(meter, f"create_{kind}", creating)
    report(telemetry(recorded), side=Side.CLIENT)
    assert created
    assert not [name for name in created if not name.startswith("gen_ai.client.")]


def test_gauges_have_the_latest_report_and_counters_the_sum_of_all(recorded: Recorded) -> None:
    engine, writer = Engine(), telemetry(recorded)
    counts: dict[str, Any] = {"preemptions": 1, "prefix_cache_queries": 64, "prefix_cache_hits": 8}
    writer.report_engine(engine, stats(running=3, waiting=5, kv_cache_utilization=0.25, **counts))
    writer.report_engine(engine, stats(running=2, waiting=0, kv_cache_utilization=0.125, **counts))
    assert values(recorded, RUNNING) == {("m", 0): 2}
    assert values(recorded, WAITING) == {("m", 0): 0}
    assert values(recorded, UTILIZATION) == {("m", 0): 0.125}
    assert values(recorded, PREEMPTIONS) == {("m", 0): 2}
    assert values(recorded, QUERIES) == {("m", 0): 128}
    assert values(recorded, HITS) == {("m", 0): 16}


def test_a_report_without_a_state_leaves_it_as_it_was(recorded: Recorded) -> None:
    engine, writer = Engine(), telemetry(recorded)
    writer.report_engine(engine, stats(running=3, waiting=5))
    writer.report_engine(engine, stats(kv_cache_utilization=0.5, waiting=4))
    writer.report_engine(engine, stats(batch_tokens=8))
    assert values(recorded, RUNNING) == {("m", 0): 3}
    assert values(recorded, WAITING) == {("m", 0): 4}
    assert values(recorded, UTILIZATION) == {("m", 0): 0.5}


def test_a_state_that_was_never_reported_has_no_metric(recorded: Recorded) -> None:
    engine = Engine()
    telemetry(recorded).report_engine(engine, stats(model=None, waiting=1))
    assert set(recorded.metrics()) == {WAITING, PREEMPTIONS, QUERIES, HITS}
    assert values(recorded, WAITING) == {(None, 0): 1}


def test_engines_are_distinguished_by_model_and_index(recorded: Recorded) -> None:
    engine, other, writer = Engine(), Engine(), telemetry(recorded)
    writer.report_engine(engine, stats(running=1, preemptions=1))
    writer.report_engine(engine, stats(index=1, running=2))
    writer.report_engine(other, stats(model="n", running=4))
    assert values(recorded, RUNNING) == {("m", 0): 1, ("m", 1): 2, ("n", 0): 4}
    assert values(recorded, PREEMPTIONS) == {("m", 0): 1, ("m", 1): 0, ("n", 0): 0}


def test_engines_of_one_model_and_index_are_added_up(recorded: Recorded) -> None:
    engine, other, writer = Engine(), Engine(), telemetry(recorded)
    writer.report_engine(engine, stats(running=1, waiting=10, kv_cache_utilization=0.5, preemptions=1))
    writer.report_engine(other, stats(running=2, waiting=20, kv_cache_utilization=0.75, preemptions=1))
    assert values(recorded, RUNNING) == {("m", 0): 3}
    assert values(recorded, WAITING) == {("m", 0): 30}
    assert values(recorded, UTILIZATION) == {("m", 0): 0.75}
    assert values(recorded, PREEMPTIONS) == {("m", 0): 2}


def test_an_engine_that_is_gone_has_no_state_but_keeps_its_totals(recorded: Recorded) -> None:
    engine, writer = Engine(), telemetry(recorded)
    writer.report_engine(engine, stats(running=1, kv_cache_utilization=0.5, preemptions=7))
    del engine
    gc.collect()
    assert values(recorded, RUNNING) == {}
    assert values(recorded, UTILIZATION) == {}
    assert values(recorded, PREEMPTIONS) == {("m", 0): 7}


def test_closed_telemetry_reports_no_engine(recorded: Recorded) -> None:
    engine, writer = Engine(), telemetry(recorded)
    writer.report_engine(engine, stats(running=1))
    writer.close()
    writer.report_engine(engine, stats(running=2, batch_tokens=1))
    assert values(recorded, RUNNING) == {}
    assert BATCH not in recorded.metrics()


def test_telemetry_that_is_opened_again_continues_with_the_same_totals(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    engine, first = Engine(), telemetry(recorded)
    first.report_engine(engine, stats(running=1, preemptions=1))
    first.close()
    telemetry(recorded).report_engine(engine, stats(running=2, preemptions=1))
    assert values(recorded, RUNNING) == {("m", 0): 2}
    assert values(recorded, PREEMPTIONS) == {("m", 0): 2}
    assert not caplog.records


def test_instrumentations_and_providers_do_not_mix(recorded: Recorded) -> None:
    engine, other, elsewhere = Engine(), Engine(), Recorded()
    telemetry(recorded, scope="a").report_engine(engine, stats(running=1))
    telemetry(elsewhere, scope="a").report_engine(engine, stats(running=2))
    telemetry(elsewhere, scope="b").report_engine(other, stats(running=4))
    assert values(recorded, RUNNING) == {("m", 0): 1}
    # Both scopes have a metric of this name; `values` reads one of them, and it is not the sum.
    assert values(elsewhere, RUNNING) in ({("m", 0): 2}, {("m", 0): 4})


def test_with_both_vintages_engines_are_reported_once(recorded: Recorded) -> None:
    both = Config.from_environment({"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental/dup"})
    engine = Engine()
    telemetry(recorded, both).report_engine(engine, stats(running=1, batch_tokens=1))
    assert recorded.schema_urls() == {"https://opentelemetry.io/schemas/1.41.0"}


def test_a_step_belongs_to_no_span(recorded: Recorded) -> None:
    engine = Engine()
    with recorded.tracer_provider.get_tracer("app").start_as_current_span("one of many requests"):
        telemetry(recorded).report_engine(engine, stats(batch_tokens=1))
    (batch,) = recorded.metrics()[BATCH]
    assert not batch.exemplars


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads switch as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_that_report_at_once_lose_no_count(recorded: Recorded, quick_switches: None) -> None:
    engines, writer = [Engine() for _ in range(4)], telemetry(recorded)
    ready = threading.Barrier(len(engines))

    def report_steps(engine: Engine) -> None:
        ready.wait()
        for _ in range(500):
            writer.report_engine(engine, stats(running=1, preemptions=1, batch_tokens=1))

    threads = [threading.Thread(target=report_steps, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(recorded, PREEMPTIONS) == {("m", 0): 2000}
    assert values(recorded, RUNNING) == {("m", 0): 4}
    (batch,) = recorded.metrics()[BATCH]
    assert batch.count == 2000


def test_an_engine_may_report_first_while_metrics_are_collected(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    writer, engines = telemetry(recorded), [Engine(), Engine()]
    reporters: list[threading.Thread] = []

    class Slow(EngineStats):
        @property
        def running(self) -> int:
            if not reporters:
                reporters.append(
                    threading.Thread(target=writer.report_engine, args=(engines[1], stats(model="n", running=2)))
                )
                reporters[0].start()
                reporters[0].join(0.05)  # until it has reported, unless a lock keeps it waiting
            return 1

    writer.report_engine(engines[0], Slow("toy", "m"))
    assert values(recorded, RUNNING) == {("m", 0): 1}
    reporters[0].join()
    assert values(recorded, RUNNING) == {("m", 0): 1, ("n", 0): 2}
    assert not caplog.records


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_leaves_the_parents_engines_to_the_parent(recorded: Recorded) -> None:
    engine = Engine()
    telemetry(recorded).report_engine(engine, stats(running=1, preemptions=1))
    child = os.fork()
    if child == 0:
        os._exit(len(values(recorded, RUNNING)) + len(values(recorded, PREEMPTIONS)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert values(recorded, RUNNING) == {("m", 0): 1}
