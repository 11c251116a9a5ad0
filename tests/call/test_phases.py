"""The phases of an operation, their attributes, and the first generation of a process."""

from __future__ import annotations

import os
import sys
import time
import types
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind

from otel_genai.config import Config
from otel_genai.endpoint.rows import CallRow, PhaseRow
from otel_genai.operation import Operation, Phase, Request, Response, Side, Timing
from otel_genai.patching.patches import Patches
from otel_genai.telemetry import process_start, render
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.providers import Recorded, attribute
from tests.support.toy_library import TOY, ToyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def loading_library() -> types.ModuleType:
    module = types.ModuleType("toy_library")

    def find() -> int:
        return 100

    class Model:
        @classmethod
        def load(cls, *, fails: bool = False) -> str:
            module.find()
            cls._read(fails)
            return "model"

        def ask(self) -> str:
            module.find()
            return "answer"

        @staticmethod
        def _read(fails: bool) -> None:
            if fails:
                raise ToyError("unreadable")

    module.find, module.Model = find, Model  # type: ignore[attr-defined]
    return module


LOAD = replace(
    TOY,
    default=TOY.default._replace(operation="load_model", side=Side.INTERNAL),
    request=lambda arguments: TOY.default._replace(operation="load_model", side=Side.INTERNAL),
    response=lambda result, content: Response(extra={"otel_genai.load.device": "cpu"}),
)


@pytest.fixture
def loading(recorded: Recorded) -> Iterator[Any]:
    """A library that loads a model."""
    module = loading_library()
    sys.modules["toy_library"] = module
    telemetry = Telemetry("toy", "1", Config(), **recorded.providers)
    patches = Patches(
        [
            CallRow(module="toy_library", target="Model.load", endpoint=LOAD),
            CallRow(module="toy_library", target="Model.ask", endpoint=TOY),
            PhaseRow(
                module="toy_library",
                target="find",
                phase="resolve",
                operation="load_model",
                read=lambda found: {"otel_genai.load.file_bytes": found},
            ),
            PhaseRow(module="toy_library", target="Model._read", phase="read_weights", operation="load_model"),
            PhaseRow(
                module="toy_library", target="Model.absent", phase="absent", operation="load_model", optional=True
            ),
        ],
        lambda: telemetry,
    )
    patches.apply()
    yield module
    patches.revert()
    del sys.modules["toy_library"]


def test_the_phases_of_loading_are_spans_and_attributes(loading: Any, recorded: Recorded) -> None:
    assert loading.Model.load() == "model"
    find, read, load = recorded.spans(3)
    assert [span.name for span in (find, read, load)] == ["resolve", "read_weights", "load_model"]
    assert (find.parent, read.parent) == (load.context, load.context)
    assert (find.kind, dict(find.attributes or {})) == (SpanKind.INTERNAL, {})
    times = [load.start_time, find.start_time, find.end_time, read.start_time, read.end_time, load.end_time]
    assert times == sorted(times, key=lambda time: time or 0)
    assert attribute(load, "otel_genai.phase.resolve") > 0
    assert attribute(load, "otel_genai.load.file_bytes") == 100
    assert attribute(load, "otel_genai.load.device") == "cpu"


def test_a_phase_that_fails_is_timed(loading: Any, recorded: Recorded) -> None:
    with pytest.raises(ToyError):
        loading.Model.load(fails=True)
    _, read, load = recorded.spans(3)
    assert (read.name, attribute(load, "error.type")) == ("read_weights", "tests.support.toy_library.ToyError")


def test_outside_of_its_operation_a_phase_is_not_timed(loading: Any, recorded: Recorded) -> None:
    assert loading.find() == 100
    recorded.spans(0)
    assert loading.Model().ask() == "answer"
    assert "otel_genai.phase.resolve" not in (recorded.span().attributes or {})


def test_loading_has_no_client_metrics(loading: Any, recorded: Recorded) -> None:
    loading.Model.load()
    assert recorded.metrics() == {}


def reported(recorded: Recorded, operation: Operation, **settings: Any) -> None:
    """Write an operation as it stands."""
    from opentelemetry import trace

    telemetry = Telemetry("toy", "1", Config(**settings), **recorded.providers)
    span = telemetry.start(operation.request, operation.timing.began_ns)
    telemetry.report(span, trace.set_span_in_context(span), operation)


SERVED = Operation(
    request=Request(operation="chat", provider="toy", model="m", side=Side.SERVER),
    timing=Timing(
        began_ns=1_000_000_000,
        started=5.0,
        ended=6.0,
        phases=(Phase("queue", 5.0, 5.25), Phase("prefill", 5.25, 5.5), Phase("decode", 5.5, 6.0)),
    ),
)


def test_phases_of_an_engine_are_spans_if_the_setting_says_so(recorded: Recorded) -> None:
    reported(recorded, SERVED, phase_spans=True)
    assert [(span.name, span.start_time, span.end_time) for span in recorded.spans(4)] == [
        ("queue", 1_000_000_000, 1_250_000_000),
        ("prefill", 1_250_000_000, 1_500_000_000),
        ("decode", 1_500_000_000, 2_000_000_000),
        ("chat m", 1_000_000_000, 2_000_000_000),
    ]


def test_phases_of_an_engine_are_attributes_by_default(recorded: Recorded) -> None:
    reported(recorded, SERVED)
    assert attribute(recorded.span(), "otel_genai.phase.prefill") == 0.25


def test_phases_of_one_name_are_summed() -> None:
    timing = Timing(0, 0.0, 1.0, phases=(Phase("resolve", 0.0, 0.25), Phase("resolve", 0.5, 0.75)))
    assert render.outcome_attributes(SERVED._replace(timing=timing)) == {"otel_genai.phase.resolve": 0.5}


def test_bytes_per_second_are_those_of_reading_the_weights() -> None:
    loaded = Operation(
        request=Request(operation="load_model", provider="toy", side=Side.INTERNAL),
        timing=Timing(0, 0.0, 4.0, phases=(Phase("read_weights", 1.0, 3.0),)),
        response=Response(extra={"otel_genai.load.file_bytes": 1000, "otel_genai.load.disk_read_bytes": 300}),
    )
    assert render.outcome_attributes(loaded) == {
        "otel_genai.phase.read_weights": 2.0,
        "otel_genai.load.file_bytes": 1000,
        "otel_genai.load.disk_read_bytes": 300,
        "otel_genai.load.bytes_per_second": 500.0,
        "otel_genai.load.page_cache_bytes": 700,
    }


# ── the first generation ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without a generation so far."""
    monkeypatch.setattr(process_start, "_generated_in", None)


@pytest.mark.usefixtures("fresh")
def test_the_first_generation_of_a_process_is_an_event(recorded: Recorded) -> None:
    reported(recorded, SERVED)
    reported(recorded, SERVED)
    (event,) = [event.log_record for event in recorded.events()]
    assert event.event_name == "otel_genai.first_generation"
    assert event.trace_id in {span.context.trace_id for span in recorded.spans(2) if span.context}
    assert dict(event.attributes or {}).keys() - {"otel_genai.since_process_start"} == {
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
    }


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    "operation",
    [
        SERVED._replace(request=SERVED.request._replace(side=Side.CLIENT)),
        SERVED._replace(request=SERVED.request._replace(operation="pipeline", side=Side.INTERNAL)),
        SERVED._replace(unfinished=True),
    ],
)
def test_operations_without_a_generation_are_not_the_first_one(recorded: Recorded, operation: Operation) -> None:
    reported(recorded, operation)
    assert recorded.events() == []


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")


@on_linux
def test_the_age_of_the_process_is_read_from_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    began = round((time.clock_gettime(time.CLOCK_BOOTTIME) - 100) * ticks)
    stat = tmp_path / "stat"
    # proc(5): the start is the 22nd field; the command, the second one, may hold spaces and parentheses.
    stat.write_text(f"7 (a) name (b) S {' '.join(['1'] * 18)} {began} 2 3\n")
    monkeypatch.setattr(process_start, "_STATUS", stat)
    assert process_start.seconds_until(time.time_ns()) == pytest.approx(100, abs=0.5)
    assert process_start.seconds_until(time.time_ns() - 10_000_000_000) == pytest.approx(90, abs=0.5)


@on_linux
def test_this_process_has_an_age() -> None:
    age = process_start.seconds_until(time.time_ns())
    assert age is not None
    assert age > 0


def test_without_proc_the_age_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_start, "_STATUS", tmp_path / "absent")
    assert process_start.seconds_until(0) is None
