"""Requests of an engine: it accepts them one by one, and reports on many of them in one step."""

from __future__ import annotations

import gc
import sys
import types
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace

from otel_genai.call.call import finish_open_calls
from otel_genai.config import Config
from otel_genai.endpoint.endpoint import RequestState
from otel_genai.endpoint.rows import ContextRow
from otel_genai.endpoint.server_rows import EngineRow
from otel_genai.operation import Failure, Operation, Response, Side, Timing, Usage
from otel_genai.patching.patches import Patches
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.providers import Recorded, attribute
from tests.support.toy_library import TOY, ToyError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from otel_genai.endpoint.arguments import Arguments

BEGUN, ENDED = "begun", "ended"


class SequenceEvents(RequestState):
    """The number of sequences of a request that ended, and the times of its output."""

    def __init__(self, arguments: Arguments, content: bool) -> None:
        self._due = len(arguments.kwargs["names"])
        self._ended = 0
        self.moments: list[float] = []

    def add(self, word: str) -> bool:
        self._ended += word == ENDED
        return False

    def is_over(self) -> bool:
        return self._ended >= self._due

    def response(self) -> Response:
        return Response(usage=Usage(output=len(self.moments)))

    def failure(self, content: bool) -> Failure | None:
        return None

    def timing(self, observed: Timing) -> Timing:
        return observed._replace(chunks=self.moments)


def engine_library() -> types.ModuleType:
    module = types.ModuleType("toy_library")

    class Processor:
        def add(self, name: str) -> None:
            pass

        def step(self, *names: str, ends: Iterable[str] = (), error: Exception | None = None) -> str:
            for name in ends:
                self.end(name)
            if error is not None:
                raise error
            return "stepped"

        def end(self, name: str) -> list[str]:
            return [name]

        def collapse(self, error: Exception) -> None:
            pass

    class Engine:
        def __init__(self) -> None:
            self.processor = Processor()

        def enter(self, *, names: tuple[str, ...], then: Any = None) -> str:
            for name in names:
                self.processor.add(name)
            if then is not None:
                then()
            return "entered"

        def start(self, work: Any) -> Any:
            return work()

        async def enter_soon(self, *, names: tuple[str, ...]) -> str:
            return self.enter(names=names)

        def work(self, error: BaseException | None = None) -> str:
            if error is not None:
                raise error
            return "worked"

    module.Engine = Engine  # type: ignore[attr-defined]
    module.Processor = Processor  # type: ignore[attr-defined]
    return module


def bound(arguments: Arguments) -> tuple[Hashable, str]:
    return arguments.args[0], BEGUN


def stepped(arguments: Arguments, states: Mapping[Hashable, Any], moment: float) -> None:
    for name in arguments.args:
        if name in states:
            states[name].moments.append(moment)


def ended(arguments: Arguments, result: Any) -> list[tuple[Hashable, str]]:
    return [(name, ENDED) for name in result]


ENTER = replace(
    TOY,
    default=TOY.default._replace(side=Side.INTERNAL),
    request=lambda arguments: TOY.default._replace(side=Side.INTERNAL),
    state=SequenceEvents,
)
ROWS = (
    EngineRow(module="toy_library", target="Engine.enter", place="submit", endpoint=ENTER),
    EngineRow(module="toy_library", target="Processor.add", place="started", read=bound),
    EngineRow(module="toy_library", target="Processor.step", place="step", read=stepped),
    EngineRow(module="toy_library", target="Processor.end", place="finished", read=ended),
    EngineRow(
        module="toy_library",
        target="Processor.collapse",
        place="failed",
        read=lambda arguments: arguments.args[0],
    ),
    ContextRow(module="toy_library", target="Engine.start", policy="detach"),
    EngineRow(
        module="toy_library",
        target="Engine.work",
        place="failed",
        engine=lambda arguments: arguments.instance.processor,
    ),
)


@pytest.fixture
def engine(recorded: Recorded) -> Iterator[Any]:
    """An engine that names the sequences of its requests."""
    module = engine_library()
    sys.modules["toy_library"] = module
    telemetry = Telemetry("toy", "1", Config(), **recorded.providers)
    patches = Patches(ROWS, lambda: telemetry)
    patches.apply()
    yield module.Engine()
    patches.revert()
    del sys.modules["toy_library"]


def test_a_request_ends_with_the_last_of_its_sequences(engine: Any, recorded: Recorded) -> None:
    assert engine.enter(names=("a", "b")) == "entered"
    assert engine.processor.step("a", "b", "unknown", ends=["a"]) == "stepped"
    recorded.spans(0)
    engine.processor.step("b", ends=["b"])
    assert attribute(recorded.span(), "gen_ai.usage.output_tokens") == 3


def test_the_output_of_a_step_counts_for_a_request_that_ends_in_it(
    engine: Any, recorded: Recorded, operations: list[Operation]
) -> None:
    engine.enter(names=("a",))
    engine.processor.step("a", ends=["a"])
    (operation,) = operations
    assert len(operation.timing.chunks) == 1
    assert operation.timing.started < operation.timing.chunks[0] <= operation.timing.ended


def test_an_end_outside_of_a_step_ends_the_request_at_once(engine: Any, recorded: Recorded) -> None:
    engine.enter(names=("a",))
    assert engine.processor.end("a") == ["a"]
    recorded.span()


def test_two_engines_may_use_the_same_names(engine: Any, recorded: Recorded) -> None:
    other = type(engine)()
    engine.enter(names=("a",))
    other.enter(names=("a",))
    other.processor.step("a", "a", ends=["a"])
    recorded.spans(1)
    engine.processor.step("a", ends=["a"])
    assert [attribute(span, "gen_ai.usage.output_tokens") for span in recorded.spans(2)] == [2, 1]


def test_a_name_can_be_used_again_after_its_request_ended(engine: Any, recorded: Recorded) -> None:
    for _ in range(2):
        engine.enter(names=("a",))
        engine.processor.step("a", ends=["a"])
    recorded.spans(2)


def test_a_request_that_ends_inside_submit_is_reported_when_submit_returns(engine: Any, recorded: Recorded) -> None:
    def end() -> None:
        engine.processor.step("a", ends=["a"])
        recorded.spans(0)

    engine.enter(names=("a",), then=end)
    assert attribute(recorded.span(), "gen_ai.usage.output_tokens") == 1


def test_an_exception_of_submit_is_the_error_of_the_request(engine: Any, recorded: Recorded) -> None:
    def refuse() -> None:
        engine.processor.step("a", ends=["a"])
        raise ToyError

    with pytest.raises(ToyError):
        engine.enter(names=("a", "b"), then=refuse)
    assert attribute(recorded.span(), "error.type") == "tests.support.toy_library.ToyError"
    engine.processor.step("a", "b", ends=["a", "b"])
    recorded.spans(1)


def test_a_name_can_be_used_again_after_submit_raised(engine: Any, recorded: Recorded) -> None:
    def refuse() -> None:
        raise ToyError

    with pytest.raises(ToyError):
        engine.enter(names=("a",), then=refuse)
    engine.enter(names=("a",))
    engine.processor.step("a", ends=["a"])
    assert [span.status.is_unset for span in recorded.spans(2)] == [False, True]


def test_a_request_that_is_submitted_twice_is_reported_once(engine: Any, recorded: Recorded) -> None:
    engine.enter(names=("a",))
    engine.enter(names=("a",))
    engine.processor.step("a", ends=["a"])
    finish_open_calls()
    recorded.span()


def test_a_sequence_that_is_added_after_submit_does_not_belong_to_the_request(engine: Any, recorded: Recorded) -> None:
    engine.enter(names=("a",))
    engine.processor.add("b")
    engine.processor.end("b")
    recorded.spans(0)
    engine.processor.end("a")
    recorded.span()


def test_a_sequence_that_is_added_without_submit_is_not_reported(engine: Any, recorded: Recorded) -> None:
    engine.processor.add("a")
    engine.processor.step("a", ends=["a"])
    finish_open_calls()
    recorded.spans(0)


def test_the_failure_of_an_engine_is_the_error_of_all_its_requests(engine: Any, recorded: Recorded) -> None:
    other = type(engine)()
    engine.enter(names=("a", "b"))
    engine.enter(names=("c",))
    other.enter(names=("d",))
    engine.processor.collapse(ToyError())
    assert [attribute(span, "error.type") for span in recorded.spans(2)] == ["tests.support.toy_library.ToyError"] * 2
    other.processor.end("d")
    assert recorded.spans(3)[-1].status.is_unset


@pytest.mark.parametrize("error", [ToyError(), KeyboardInterrupt()])
def test_an_exception_of_the_engines_loop_is_the_error_of_all_its_requests(
    error: BaseException, engine: Any, recorded: Recorded
) -> None:
    assert engine.work() == "worked"
    engine.enter(names=("a",))
    with pytest.raises(type(error)):
        engine.work(error)
    assert not recorded.span().status.is_unset


def test_a_step_that_raises_still_ends_the_requests_that_it_finished(engine: Any, recorded: Recorded) -> None:
    engine.enter(names=("a",))
    with pytest.raises(ToyError):
        engine.processor.step("a", ends=["a"], error=ToyError())
    assert recorded.span().status.is_unset


def test_an_open_request_is_reported_as_unfinished_when_the_process_ends(
    engine: Any, recorded: Recorded, operations: list[Operation]
) -> None:
    engine.enter(names=("a",))
    engine.processor.step("a")
    finish_open_calls()
    engine.processor.step("a", ends=["a"])
    recorded.span()
    assert [(operation.unfinished, operation.response.usage) for operation in operations] == [(True, Usage(output=1))]


def test_an_engine_is_not_kept_alive(engine: Any, recorded: Recorded) -> None:
    other = type(engine)()
    other.enter(names=("a",))
    other.processor.end("a")
    kept = weakref.ref(other.processor)
    del other
    gc.collect()
    assert kept() is None


def test_the_state_of_a_finished_request_is_not_kept_alive(
    engine: Any, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[SequenceEvents]] = []

    def is_over(state: SequenceEvents) -> bool:
        made.append(weakref.ref(state))
        return True

    monkeypatch.setattr(SequenceEvents, "is_over", is_over)
    engine.enter(names=("a",))
    engine.processor.step("a", ends=["a"])
    recorded.span()
    gc.collect()
    assert made[0]() is None


def test_a_task_that_is_started_for_all_requests_has_no_current_span(engine: Any, recorded: Recorded) -> None:
    with recorded.tracer_provider.get_tracer("app").start_as_current_span("app") as app:
        assert engine.start(trace.get_current_span) is trace.INVALID_SPAN
        assert trace.get_current_span() is app


async def test_an_asynchronous_submit_begins_the_request_when_it_is_awaited(recorded: Recorded) -> None:
    module = engine_library()
    sys.modules["toy_library"] = module
    telemetry = Telemetry("toy", "1", Config(), **recorded.providers)
    awaited = EngineRow(module="toy_library", target="Engine.enter_soon", place="submit", endpoint=ENTER, awaits=True)
    patches = Patches((awaited, *ROWS[1:]), lambda: telemetry)
    patches.apply()
    engine = module.Engine()
    entering = engine.enter_soon(names=("a",))
    assert await entering == "entered"
    engine.processor.step("a", ends=["a"])
    patches.revert()
    del sys.modules["toy_library"]
    assert attribute(recorded.span(), "gen_ai.usage.output_tokens") == 1
