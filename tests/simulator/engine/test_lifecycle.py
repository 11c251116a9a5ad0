"""The events of an engine's lifecycle, as its observer receives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.simulator.engine.engine import Engine
from otel_genai.simulator.engine.fixed_rate import FixedRateEngine
from otel_genai.simulator.engine.inference import Inference, Sampling
from otel_genai.simulator.engine.lifecycle import Lifecycle
from otel_genai.simulator.engine.statistics import Statistics
from otel_genai.simulator.faults.faults import Faults
from tests.support.simulator.virtual_time import PROFILE, VirtualTime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_genai.simulator.engine.lifecycle import EngineLoad, SequenceTimes, StepOutput, SubmittedRequest

INFERENCE = Inference(prompts=("a b",), sampling=Sampling(n=2, guided="x y"))


class Recorder:
    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def submitted(self, request: SubmittedRequest, sequences: Sequence[SequenceTimes]) -> None:
        self.events.append(("submitted", request.inference is INFERENCE, len(sequences)))

    def step(self, outputs: Sequence[StepOutput]) -> None:
        self.events.append(("step", [(output.sequence.generated, output.sequence.is_finished) for output in outputs]))

    def cancelled(self, sequences: Sequence[SequenceTimes]) -> None:
        self.events.append(("cancelled", [sequence.is_finished for sequence in sequences]))

    def stats(self, load: EngineLoad) -> None:
        self.events.append(("stats", load.running, load.waiting))


def engine_of(kind: str, observer: Recorder) -> Engine | FixedRateEngine:
    lifecycle, time = Lifecycle(Statistics(), observer), VirtualTime()
    if kind == "engine":
        return Engine(lifecycle, PROFILE, Faults(), clock=time.clock, sleep=time.sleep)
    return FixedRateEngine(lifecycle, clock=time.clock, sleep=time.sleep)


@pytest.mark.parametrize("kind", ["engine", "fixed rate"])
async def test_an_observer_receives_every_event_after_it_is_counted(kind: str) -> None:
    observer = Recorder()
    async for _ in engine_of(kind, observer).generate(INFERENCE):
        pass
    assert [event for event in observer.events if event[0] != "stats"] == [
        ("submitted", True, 2),
        ("step", [(1, False), (1, False)]),
        ("step", [(2, True), (2, True)]),
    ]
    assert observer.events[-1] == ("stats", 0, 0)


@pytest.mark.parametrize("kind", ["engine", "fixed rate"])
async def test_a_closed_generator_cancels_the_sequences_that_are_not_finished(kind: str) -> None:
    observer = Recorder()
    events = engine_of(kind, observer).generate(INFERENCE)
    await anext(events)
    await events.aclose()
    assert [event for event in observer.events if event[0] != "stats"] == [
        ("submitted", True, 2),
        ("step", [(1, False), (1, False)]),
        ("cancelled", [True, True]),
    ]
