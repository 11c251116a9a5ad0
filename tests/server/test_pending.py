"""Requests that a library accepts in one call and answers in its own time, in other threads."""

from __future__ import annotations

import sys
import threading
import types
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace

from otel_genai.call.call import finish_open_calls
from otel_genai.config import Config
from otel_genai.endpoint.endpoint import RequestState
from otel_genai.endpoint.server_rows import EngineRow
from otel_genai.operation import Failure, Operation, Phase, Response, Side, Timing, Usage
from otel_genai.patching.patches import Patches
from otel_genai.telemetry.observers import observe
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.providers import Recorded, attribute
from tests.support.toy_library import TOY, ToyError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from otel_genai.endpoint.arguments import Arguments

END = "end"
BROKEN = "broken"


class Words(RequestState):
    """The events of a request."""

    def __init__(self, arguments: Arguments, content: bool) -> None:
        self._words: list[str] = []

    def add(self, chunk: str) -> bool:
        self._words.append(chunk)
        return chunk not in {END, BROKEN}

    def is_over(self) -> bool:
        return self._words[-1] in {END, BROKEN}

    def tokens(self) -> list[int]:
        return [int(word not in {END, BROKEN}) for word in self._words]

    def response(self) -> Response:
        return Response(usage=Usage(output=sum(self.tokens())))

    def failure(self, content: bool) -> Failure | None:
        return Failure("toy.Broken", "it broke") if BROKEN in self._words else None

    def timing(self, observed: Timing) -> Timing:
        return observed._replace(phases=(Phase("queue", observed.started, observed.started + 0.25),))


def engine_library() -> types.ModuleType:
    module = types.ModuleType("toy_library")

    class Engine:
        def add(self, name: str | None, *, before: Any = None) -> str | None:
            if before is not None:
                before()
            if name == "refused":
                raise ToyError("no such request")
            return name

        def report(self, name: str, *words: str) -> None:
            pass

    module.Engine = Engine  # type: ignore[attr-defined]
    return module


def words_of(arguments: Arguments, result: Any) -> list[tuple[Hashable, Any]]:
    name, *words = arguments.args
    return [(name, word) for word in words]


ADD = replace(
    TOY,
    default=TOY.default._replace(side=Side.INTERNAL),
    request=lambda arguments: TOY.default._replace(side=Side.INTERNAL),
    state=Words,
    key=lambda arguments, result: result,
)


@pytest.fixture
def engine(recorded: Recorded) -> Iterator[Any]:
    """A library that answers requests in its own time."""
    module = engine_library()
    sys.modules["toy_library"] = module
    telemetry = Telemetry("toy", "1", Config(), **recorded.providers)
    patches = Patches(
        [
            EngineRow(module="toy_library", target="Engine.add", place="submit", endpoint=ADD),
            EngineRow(module="toy_library", target="Engine.report", place="finished", read=words_of),
        ],
        lambda: telemetry,
    )
    patches.apply()
    yield module.Engine()
    patches.revert()
    del sys.modules["toy_library"]


def in_another_thread(call: Any, *arguments: Any) -> None:
    thread = threading.Thread(target=call, args=arguments)
    thread.start()
    thread.join()


def test_the_parent_of_a_request_is_the_span_in_which_it_was_added(engine: Any, recorded: Recorded) -> None:
    with trace.use_span(recorded.tracer_provider.get_tracer("app").start_span("app"), end_on_exit=True):
        assert engine.add("a") == "a"
    recorded.spans(1)
    in_another_thread(engine.report, "a", "one", "two")
    in_another_thread(engine.report, "a", END)
    app, request = recorded.spans(2)
    assert request.parent == app.context
    assert attribute(request, "gen_ai.usage.output_tokens") == 2
    assert attribute(request, "otel_genai.phase.queue") == 0.25
    assert request.status.is_unset


def test_each_request_gets_its_own_events(engine: Any, recorded: Recorded) -> None:
    engine.add("a")
    engine.add("b")
    engine.report("a", "one")
    engine.report("b", "one", "two", END)
    engine.report("a", END)
    assert [attribute(span, "gen_ai.usage.output_tokens") for span in recorded.spans(2)] == [2, 1]


def test_each_event_has_its_time(engine: Any, recorded: Recorded) -> None:
    operations: list[Operation] = []
    stop = observe(lambda operation, _: operations.append(operation))
    engine.add("a")
    engine.report("a", "one")
    engine.report("a", "two")
    engine.report("a", END)
    stop()
    ((timing),) = [operation.timing for operation in operations]
    assert list(timing.tokens) == [1, 1, 0]
    assert timing.started < timing.chunks[0] < timing.chunks[1] < timing.chunks[2] <= timing.ended
    assert timing.first_token == timing.chunks[0]


def test_a_failure_that_the_library_reports_is_the_error_of_the_span(engine: Any, recorded: Recorded) -> None:
    engine.add("a")
    engine.report("a", "one", BROKEN)
    span = recorded.span()
    assert attribute(span, "error.type") == "toy.Broken"
    assert span.status.description == "it broke"


def test_events_that_come_before_the_request_is_known_are_not_lost(engine: Any, recorded: Recorded) -> None:
    engine.add("a", before=lambda: in_another_thread(engine.report, "a", "one", "two", END))
    assert attribute(recorded.span(), "gen_ai.usage.output_tokens") == 2


def test_a_request_that_the_library_ignores_is_not_reported(engine: Any, recorded: Recorded) -> None:
    assert engine.add(None) is None
    finish_open_calls()
    recorded.spans(0)
    assert recorded.metrics() == {}


def test_a_request_that_is_refused_with_an_exception_is_reported_with_it(engine: Any, recorded: Recorded) -> None:
    with pytest.raises(ToyError):
        engine.add("refused")
    assert attribute(recorded.span(), "error.type") == "tests.support.toy_library.ToyError"


def test_a_request_that_is_added_twice_is_reported_once(engine: Any, recorded: Recorded) -> None:
    engine.add("a")
    engine.add("a")
    engine.report("a", "one", END)
    recorded.span()


def test_events_of_unknown_requests_are_ignored(engine: Any, recorded: Recorded) -> None:
    engine.report("unknown", "one", END)
    engine.add("unknown")
    engine.report("unknown", "one", "two", END)
    assert attribute(recorded.span(), "gen_ai.usage.output_tokens") == 2


def test_early_events_of_a_request_that_was_not_added_do_not_go_to_a_later_one(engine: Any, recorded: Recorded) -> None:
    engine.add("a", before=lambda: engine.report("b", "one", END))
    engine.add("b")
    engine.report("b", "one", "two", END)
    assert attribute(recorded.span(), "gen_ai.usage.output_tokens") == 2
    engine.report("a", END)


def test_an_open_request_is_reported_as_unfinished_when_the_process_ends(engine: Any, recorded: Recorded) -> None:
    operations: list[Operation] = []
    stop = observe(lambda operation, _: operations.append(operation))
    engine.add("a")
    engine.report("a", "one")
    finish_open_calls()
    engine.report("a", "two", END)
    stop()
    recorded.span()
    assert [(operation.unfinished, operation.response.usage) for operation in operations] == [(True, Usage(output=1))]
