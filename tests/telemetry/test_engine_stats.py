"""How busy engines are, and what their requests waited for: what engines tell becomes gauges, counters and histograms."""

from __future__ import annotations

import gc
import os
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace

from otel_genai.config import Config
from otel_genai.endpoint.rows import ArgumentRow, StatsRow
from otel_genai.guard import Guard
from otel_genai.operation import EngineStats, Failure, Operation, Phase, Request, Response, Side, Timing, Usage
from otel_genai.patching.patches import Patches
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.providers import Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.endpoint.endpoint import Arguments

RUNNING = "otel_genai.engine.requests.running"
WAITING = "otel_genai.engine.requests.waiting"
UTILIZATION = "otel_genai.engine.kv_cache.utilization"
BATCH = "otel_genai.engine.batch.tokens"
PREEMPTIONS = "otel_genai.engine.preemptions"
QUERIES = "otel_genai.engine.prefix_cache.queries"
HITS = "otel_genai.engine.prefix_cache.hits"
QUEUE = "otel_genai.engine.queue.duration"
PREFILL = "otel_genai.engine.prefill.duration"
DECODE = "otel_genai.engine.decode.duration"


class Engine:
    """Any object will do."""


def telemetry(recorded: Recorded, config: Config | None = None, scope: str = "toy") -> Telemetry:
    return Telemetry(scope, "1", config or Config(), **recorded.providers)


def load(model: str | None = "m", index: int = 0, **told: Any) -> EngineStats:
    return EngineStats("toy", model, index, **told)


def values(recorded: Recorded, name: str) -> dict[tuple[str | None, int], float]:
    """By model and engine index."""
    return {
        (point.attributes.get("gen_ai.request.model"), point.attributes["otel_genai.engine.index"]): point.value
        for point in recorded.metrics().get(name, ())
    }


# ── load ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_report_is_seven_metrics(recorded: Recorded) -> None:
    engine = Engine()
    telemetry(recorded).load(
        engine,
        load(
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
    told = {name: [getattr(point, "value", None) for point in points] for name, points in metrics.items()}
    assert told == {
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
    made: list[str] = []
    meter = type(recorded.meter_provider.get_meter("any"))
    for kind in ("histogram", "counter", "observable_gauge", "observable_counter"):
        create = getattr(meter, f"create_{kind}")

        def creating(self: Any, name: str, *args: Any, create: Any = create, **kwargs: Any) -> Any:
            made.append(name)
            return create(self, name, *args, **kwargs)

        monkeypatch.setattr(meter, f"create_{kind}", creating)
    report(recorded, telemetry(recorded), side=Side.CLIENT)
    assert made
    assert not [name for name in made if not name.startswith("gen_ai.client.")]


def test_gauges_are_what_was_told_last_and_counters_what_was_told_in_all(recorded: Recorded) -> None:
    engine, told = Engine(), telemetry(recorded)
    counts: dict[str, Any] = {"preemptions": 1, "prefix_cache_queries": 64, "prefix_cache_hits": 8}
    told.load(engine, load(running=3, waiting=5, kv_cache_utilization=0.25, **counts))
    told.load(engine, load(running=2, waiting=0, kv_cache_utilization=0.125, **counts))
    assert values(recorded, RUNNING) == {("m", 0): 2}
    assert values(recorded, WAITING) == {("m", 0): 0}
    assert values(recorded, UTILIZATION) == {("m", 0): 0.125}
    assert values(recorded, PREEMPTIONS) == {("m", 0): 2}
    assert values(recorded, QUERIES) == {("m", 0): 128}
    assert values(recorded, HITS) == {("m", 0): 16}


def test_what_is_not_told_again_holds(recorded: Recorded) -> None:
    engine, told = Engine(), telemetry(recorded)
    told.load(engine, load(running=3, waiting=5))
    told.load(engine, load(kv_cache_utilization=0.5, waiting=4))
    told.load(engine, load(batch_tokens=8))
    assert values(recorded, RUNNING) == {("m", 0): 3}
    assert values(recorded, WAITING) == {("m", 0): 4}
    assert values(recorded, UTILIZATION) == {("m", 0): 0.5}


def test_what_was_never_told_is_no_metric(recorded: Recorded) -> None:
    engine = Engine()
    telemetry(recorded).load(engine, load(model=None, waiting=1))
    assert set(recorded.metrics()) == {WAITING, PREEMPTIONS, QUERIES, HITS}
    assert values(recorded, WAITING) == {(None, 0): 1}


def test_engines_are_told_apart_by_model_and_index(recorded: Recorded) -> None:
    engine, other, told = Engine(), Engine(), telemetry(recorded)
    told.load(engine, load(running=1, preemptions=1))
    told.load(engine, load(index=1, running=2))
    told.load(other, load(model="n", running=4))
    assert values(recorded, RUNNING) == {("m", 0): 1, ("m", 1): 2, ("n", 0): 4}
    assert values(recorded, PREEMPTIONS) == {("m", 0): 1, ("m", 1): 0, ("n", 0): 0}


def test_engines_that_nothing_tells_apart_are_one(recorded: Recorded) -> None:
    engine, other, told = Engine(), Engine(), telemetry(recorded)
    told.load(engine, load(running=1, waiting=10, kv_cache_utilization=0.5, preemptions=1))
    told.load(other, load(running=2, waiting=20, kv_cache_utilization=0.75, preemptions=1))
    assert values(recorded, RUNNING) == {("m", 0): 3}
    assert values(recorded, WAITING) == {("m", 0): 30}
    assert values(recorded, UTILIZATION) == {("m", 0): 0.75}
    assert values(recorded, PREEMPTIONS) == {("m", 0): 2}


def test_an_engine_that_is_gone_is_not_busy_but_has_done_what_it_did(recorded: Recorded) -> None:
    engine, told = Engine(), telemetry(recorded)
    told.load(engine, load(running=1, kv_cache_utilization=0.5, preemptions=7))
    del engine
    gc.collect()
    assert values(recorded, RUNNING) == {}
    assert values(recorded, UTILIZATION) == {}
    assert values(recorded, PREEMPTIONS) == {("m", 0): 7}


def test_who_closes_telemetry_hears_no_more_of_engines(recorded: Recorded) -> None:
    engine, told = Engine(), telemetry(recorded)
    told.load(engine, load(running=1))
    told.close()
    told.load(engine, load(running=2, batch_tokens=1))
    assert values(recorded, RUNNING) == {}
    assert BATCH not in recorded.metrics()


def test_who_instruments_anew_hears_of_engines_again(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    engine, first = Engine(), telemetry(recorded)
    first.load(engine, load(running=1, preemptions=1))
    first.close()
    telemetry(recorded).load(engine, load(running=2, preemptions=1))
    assert values(recorded, RUNNING) == {("m", 0): 2}
    assert values(recorded, PREEMPTIONS) == {("m", 0): 2}
    assert not caplog.records


def test_instrumentations_and_providers_do_not_mix(recorded: Recorded) -> None:
    engine, other, elsewhere = Engine(), Engine(), Recorded()
    telemetry(recorded, scope="a").load(engine, load(running=1))
    telemetry(elsewhere, scope="a").load(engine, load(running=2))
    telemetry(elsewhere, scope="b").load(other, load(running=4))
    assert values(recorded, RUNNING) == {("m", 0): 1}
    # Both scopes have a metric of this name, and one of them is read here: it is not both.
    assert values(elsewhere, RUNNING) in ({("m", 0): 2}, {("m", 0): 4})


def test_with_both_vintages_the_load_is_told_once(recorded: Recorded) -> None:
    both = Config.from_environment({"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental/dup"})
    engine = Engine()
    telemetry(recorded, both).load(engine, load(running=1, batch_tokens=1))
    assert recorded.schema_urls() == {"https://opentelemetry.io/schemas/1.41.0"}


def test_a_step_belongs_to_no_span(recorded: Recorded) -> None:
    engine = Engine()
    with recorded.tracer_provider.get_tracer("app").start_as_current_span("one of many requests"):
        telemetry(recorded).load(engine, load(batch_tokens=1))
    (batch,) = recorded.metrics()[BATCH]
    assert not batch.exemplars


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_that_tell_at_once_lose_no_count(recorded: Recorded, quick_switches: None) -> None:
    engines, told = [Engine() for _ in range(4)], telemetry(recorded)
    ready = threading.Barrier(len(engines))

    def tell(engine: Engine) -> None:
        ready.wait()
        for _ in range(500):
            told.load(engine, load(running=1, preemptions=1, batch_tokens=1))

    threads = [threading.Thread(target=tell, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(recorded, PREEMPTIONS) == {("m", 0): 2000}
    assert values(recorded, RUNNING) == {("m", 0): 4}
    (batch,) = recorded.metrics()[BATCH]
    assert batch.count == 2000


def test_engines_may_come_while_metrics_are_collected(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    told, engines = telemetry(recorded), [Engine(), Engine()]
    tellers: list[threading.Thread] = []

    class Slow(EngineStats):
        @property
        def running(self) -> int:
            if not tellers:
                tellers.append(threading.Thread(target=told.load, args=(engines[1], load(model="n", running=2))))
                tellers[0].start()
                tellers[0].join(0.05)  # until it has told, if nothing keeps it from that
            return 1

    told.load(engines[0], Slow("toy", "m"))
    assert values(recorded, RUNNING) == {("m", 0): 1}
    tellers[0].join()
    assert values(recorded, RUNNING) == {("m", 0): 1, ("n", 0): 2}
    assert not caplog.records


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_leaves_the_parents_engines_to_the_parent(recorded: Recorded) -> None:
    engine = Engine()
    telemetry(recorded).load(engine, load(running=1, preemptions=1))
    child = os.fork()
    if child == 0:
        os._exit(len(values(recorded, RUNNING)) + len(values(recorded, PREEMPTIONS)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert values(recorded, RUNNING) == {("m", 0): 1}


# ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Toy:
    """An engine's class as a library has it."""

    def __init__(self, name: str, keeps: bool = False, *rest: Any, verbose: bool = False) -> None:
        self.made = (name, keeps, rest, verbose)

    def record(self, running: int) -> int:
        return running + 1


def told(arguments: Arguments) -> EngineStats | None:
    (running,) = arguments.args
    return None if running < 0 else load(running=running)


@pytest.fixture
def library() -> Iterator[Any]:
    module = types.ModuleType("toy_library")
    # A class of its own for every test.
    module.Toy = type("Toy", (), {name: vars(Toy)[name] for name in ("__init__", "record")})  # type: ignore[attr-defined]
    sys.modules["toy_library"] = module
    yield module
    del sys.modules["toy_library"]


STATISTICS = StatsRow(module="toy_library", target="Toy.record", told=told)


def patched(recorded: Recorded, *rows: Any) -> Patches:
    patches = Patches(rows, lambda: telemetry(recorded))
    patches.apply()
    return patches


def test_what_a_method_tells_of_is_the_load(library: Any, recorded: Recorded) -> None:
    patches = patched(recorded, STATISTICS)
    engine = library.Toy("a")
    assert engine.record(4) == 5
    assert values(recorded, RUNNING) == {("m", 0): 4}
    engine.record(-1)
    assert values(recorded, RUNNING) == {("m", 0): 4}
    patches.revert()
    engine.record(6)
    assert values(recorded, RUNNING) == {}


def test_the_engine_is_the_methods_instance(library: Any, recorded: Recorded) -> None:
    patches = patched(recorded, STATISTICS)
    library.Toy("a").record(4)
    gc.collect()
    assert values(recorded, RUNNING) == {}
    patches.revert()


def test_an_error_of_ours_is_none_of_the_engines(
    library: Any, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Guard, "strict", False)
    patches = patched(recorded, StatsRow(module="toy_library", target="Toy.record", told=lambda _: 1 / 0))  # type: ignore[arg-type, return-value]
    assert library.Toy("a").record(4) == 5
    patches.revert()
    assert "the metrics lack part of an engine's load" in caplog.text


OVERRIDE = ArgumentRow(module="toy_library", target="Toy.__init__", parameter="keeps", value=True)


@pytest.mark.parametrize(
    ("args", "kwargs", "made"),
    [
        (("a",), {}, ("a", True, (), False)),
        (("a",), {"keeps": False, "verbose": True}, ("a", True, (), True)),
        (("a", False, "rest"), {}, ("a", True, ("rest",), False)),
        ((), {"name": "a"}, ("a", True, (), False)),
    ],
)
def test_an_argument_is_set_however_the_call_is_written(
    library: Any, recorded: Recorded, args: tuple[Any, ...], kwargs: dict[str, Any], made: Any
) -> None:
    given = dict(kwargs)
    patches = patched(recorded, OVERRIDE)
    assert library.Toy(*args, **kwargs).made == made
    assert kwargs == given
    patches.revert()
    assert library.Toy("a").made == ("a", False, (), False)


def test_an_argument_that_a_version_lacks_is_one_warning(
    library: Any, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Guard, "strict", False)
    row = ArgumentRow(module="toy_library", target="Toy.__init__", parameter="gone", value=True)
    patches = patched(recorded, row)
    assert library.Toy("a").made == ("a", False, (), False)
    patches.revert()
    (record,) = caplog.records
    assert "Toy.__init__ of toy_library is not instrumented" in record.getMessage()


def test_two_rows_of_one_target_are_both_taken_back(library: Any, recorded: Recorded) -> None:
    before = vars(library.Toy)["record"]
    patched(recorded, STATISTICS, STATISTICS).revert()
    assert vars(library.Toy)["record"] is before


# ── phases ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

PHASES = (
    Phase("queue", 0.0, 0.5),
    Phase("prefill", 0.5, 0.75),
    Phase("decode", 0.75, 1.0),
    Phase("queue", 1.0, 1.25),  # preempted
    Phase("decode", 1.25, 2.25),
    Phase("of another kind", 0.0, 3.0),
)


def report(recorded: Recorded, telemetry: Telemetry, *, side: Side = Side.SERVER, **outcome: Any) -> None:
    request = Request(operation=outcome.pop("operation", "chat"), provider="toy", model="m", side=side)
    span = telemetry.start(request, 0)
    timing = Timing(
        began_ns=0,
        started=0.0,
        ended=3.0,
        first_token=outcome.pop("first_token", 0.75),
        phases=outcome.pop("phases", PHASES),
    )
    telemetry.report(span, trace.set_span_in_context(span), Operation(request=request, timing=timing, **outcome))


@pytest.mark.parametrize("side", [Side.SERVER, Side.INTERNAL])
@pytest.mark.parametrize("operation", ["chat", "embeddings", "classify"])
def test_the_phases_of_an_engines_requests_are_measured(recorded: Recorded, side: Side, operation: str) -> None:
    report(recorded, telemetry(recorded), side=side, operation=operation)
    metrics = recorded.metrics()
    found = {name: (point.count, point.sum) for name, (point,) in metrics.items() if name.startswith("otel_genai.")}
    assert found == {QUEUE: (1, 0.75), PREFILL: (1, 0.25), DECODE: (1, 1.25)}
    (point,) = metrics[QUEUE]
    assert dict(point.attributes) == {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "toy",
        "gen_ai.request.model": "m",
    }


def test_a_client_has_no_phases_to_measure(recorded: Recorded) -> None:
    report(recorded, telemetry(recorded), side=Side.CLIENT)
    assert not [name for name in recorded.metrics() if name.startswith("otel_genai.")]


@pytest.mark.parametrize(
    "outcome",
    [
        {"failure": Failure("toy.Broken", "it broke")},
        {"unfinished": True},
        {"response": Response(finish_reasons=("abort",))},
        {"response": Response(finish_reasons=("stop", "error"))},
    ],
    ids=["failed", "unfinished", "stopped by its caller", "without an end"],
)
def test_the_phases_of_what_was_cut_short_are_not_measured(recorded: Recorded, outcome: dict[str, Any]) -> None:
    report(recorded, telemetry(recorded), **outcome)
    metrics = recorded.metrics()
    assert "gen_ai.server.request.duration" in metrics
    assert not [name for name in metrics if name.startswith("otel_genai.")]


def test_a_phase_that_nobody_told_is_not_measured(recorded: Recorded) -> None:
    report(recorded, telemetry(recorded), phases=(Phase("queue", 0.0, 0.5),))
    assert {name for name in recorded.metrics() if name.startswith("otel_genai.")} == {QUEUE}


# ── the conventions' server metrics ────────────────────────────────────────────────────────────────────────────────────

DURATION = "gen_ai.server.request.duration"
FIRST_TOKEN = "gen_ai.server.time_to_first_token"
OUTPUT_TOKEN = "gen_ai.server.time_per_output_token"


@pytest.mark.parametrize("opt_in", ["", "gen_ai_latest_experimental", "gen_ai_latest_experimental/dup"])
def test_a_servers_metrics_are_the_same_in_both_vintages_and_written_once(recorded: Recorded, opt_in: str) -> None:
    config = Config.from_environment({"OTEL_SEMCONV_STABILITY_OPT_IN": opt_in})
    report(recorded, telemetry(recorded, config), response=Response(usage=Usage(output=10), finish_reasons=("stop",)))
    metrics = recorded.metrics()
    assert {name: (point.count, point.sum) for name, (point,) in metrics.items()} == {
        DURATION: (1, 3.0),
        FIRST_TOKEN: (1, 0.75),
        OUTPUT_TOKEN: (1, 0.25),
        QUEUE: (1, 0.75),
        PREFILL: (1, 0.25),
        DECODE: (1, 1.25),
    }
    buckets = {name: metrics[name][0].explicit_bounds for name in (DURATION, FIRST_TOKEN, OUTPUT_TOKEN)}
    assert buckets == {
        DURATION: (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
        FIRST_TOKEN: (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
        OUTPUT_TOKEN: (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
    }
    assert len(recorded.schema_urls()) == 1


def test_one_token_has_no_time_per_later_token(recorded: Recorded) -> None:
    report(recorded, telemetry(recorded), response=Response(usage=Usage(output=1)))
    assert {FIRST_TOKEN, DURATION} <= recorded.metrics().keys()
    assert OUTPUT_TOKEN not in recorded.metrics()


def test_sequences_side_by_side_have_the_time_per_token_of_one(recorded: Recorded) -> None:
    answer = Response(usage=Usage(output=20), finish_reasons=("stop", "length"))
    report(recorded, telemetry(recorded), response=answer)
    (point,) = recorded.metrics()[OUTPUT_TOKEN]
    assert point.sum == 0.25


def test_what_failed_has_a_duration_with_its_error_and_no_time_of_tokens(recorded: Recorded) -> None:
    report(
        recorded,
        telemetry(recorded),
        failure=Failure("toy.Broken", "it broke"),
        response=Response(usage=Usage(output=10)),
    )
    metrics = recorded.metrics()
    assert metrics.keys() == {DURATION}
    assert metrics[DURATION][0].attributes["error.type"] == "toy.Broken"


def test_a_served_request_that_is_no_inference_has_a_duration(recorded: Recorded) -> None:
    report(recorded, telemetry(recorded), operation="embeddings", first_token=None, phases=())
    assert recorded.metrics().keys() == {DURATION}
