"""Calls of libraries that push chunks to a streamer or only do steps, and the metrics of each side."""

from __future__ import annotations

import sys
import threading
import types
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from otel_genai.config import Config
from otel_genai.endpoint.endpoint import StreamerFold, StreamerTee
from otel_genai.endpoint.rows import CallRow, ContextRow, StepRow
from otel_genai.operation import Operation, Phase, Request, Response, Side, Timing, Usage
from otel_genai.patching.patches import Patches
from otel_genai.telemetry.observers import observe
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.providers import Recorded, attribute
from tests.support.toy_library import TOY, ToyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.endpoint.arguments import Arguments


class Streamer:
    """A streamer of the application."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.ended = False

    def put(self, value: str) -> None:
        if value == "refused":
            raise ToyError("the streamer refuses")
        self.received.append(value)

    def end(self) -> None:
        self.ended = True


class Generation(StreamerFold):
    """The fold of one call; it counts steps if the call has no streamer."""

    def __init__(self, *, has_streamer: bool) -> None:
        self._has_streamer = has_streamer
        self._pieces: list[str] = []
        self._result: list[str] = []

    def add(self, chunk: str) -> bool:
        self._pieces.append(chunk)
        return True

    def counts_steps(self) -> bool:
        return not self._has_streamer

    def stepped(self, instance: Any) -> bool:
        self._pieces.append("step")
        return len(self._pieces) > 1

    def returned(self, result: list[str]) -> None:
        self._result = result

    def tokens(self) -> list[int]:
        return [len(piece) for piece in self._pieces]

    def response(self) -> Response:
        return Response(usage=Usage(output=sum(map(len, self._pieces)), input=len(self._result)))


def pushing_library() -> types.ModuleType:
    module = types.ModuleType("toy_library")

    class Client:
        def create(self, *, streamer: Any = None, pieces: list[str]) -> list[str]:
            assert streamer is None or isinstance(streamer, Streamer)
            for piece in pieces:
                if streamer is not None:
                    streamer.put(piece)
                self.advance()
            if streamer is not None:
                streamer.end()
            return pieces

        def advance(self) -> None:
            pass

    module.Client = Client  # type: ignore[attr-defined]
    module.Streamer = Streamer  # type: ignore[attr-defined]
    return module


def hook(arguments: Arguments, content: bool, tee: StreamerTee) -> tuple[Arguments, Generation]:
    streamer = arguments.kwargs.get("streamer")
    hooked = {**arguments.kwargs, "streamer": tee(streamer, 1)} if streamer is not None else arguments.kwargs
    return arguments._replace(kwargs=hooked), Generation(has_streamer=streamer is not None)


PUSHING = replace(
    TOY,
    default=TOY.default._replace(side=Side.INTERNAL),
    request=lambda arguments: TOY.default._replace(side=Side.INTERNAL),
    tap=hook,
    origin=lambda arguments: arguments.kwargs.get("streamer"),
)


@pytest.fixture
def pushing(recorded: Recorded) -> Iterator[Any]:
    """A client of a library that pushes its output to a streamer."""
    module = pushing_library()
    sys.modules["toy_library"] = module
    telemetry = Telemetry("toy", "1", Config(), **recorded.providers)
    patches = Patches(
        [
            CallRow(module="toy_library", target="Client.create", endpoint=PUSHING),
            ContextRow(module="toy_library", target="Streamer.__init__", policy="capture"),
            StepRow(module="toy_library", target="Client.advance"),
        ],
        lambda: telemetry,
    )
    patches.apply()
    yield module.Client()
    patches.revert()
    del sys.modules["toy_library"]


@pytest.mark.usefixtures("ticking")
def test_pushed_chunks_are_timed_and_reach_the_applications_streamer(pushing: Any, recorded: Recorded) -> None:
    operations: list[Operation] = []
    stop = observe(lambda operation, _: operations.append(operation))
    streamer = Streamer()
    assert pushing.create(streamer=streamer, pieces=["prompt", "a", "bc"]) == ["prompt", "a", "bc"]
    stop()
    assert (streamer.received, streamer.ended) == (["prompt", "a", "bc"], True)
    (timing,) = [operation.timing for operation in operations]
    # 100 start, 101 the call; 102 the streamer has consumed the prompt; then each chunk arrives, and is consumed.
    assert list(timing.asked) == [102.0, 104.0]
    assert list(timing.chunks) == [103.0, 105.0]
    assert list(timing.tokens) == [1, 2]
    assert timing.first_token == 103.0
    span = recorded.span()
    assert span.kind is SpanKind.INTERNAL
    assert attribute(span, "gen_ai.usage.output_tokens") == 3
    assert attribute(span, "gen_ai.usage.input_tokens") == 3


def test_without_a_streamer_the_result_is_read(pushing: Any, recorded: Recorded) -> None:
    assert pushing.create(pieces=["a", "b"]) == ["a", "b"]
    assert attribute(recorded.span(), "gen_ai.usage.input_tokens") == 2


@pytest.mark.usefixtures("ticking")
def test_steps_are_timed_where_there_is_no_streamer(
    pushing: Any, operations: list[Operation], recorded: Recorded
) -> None:
    pushing.create(pieces=["a", "b", "c"])
    (timing,) = [operation.timing for operation in operations]
    # 100 start, 101 the call; 102 a step without output, then two steps with some.
    assert list(timing.asked) == [101.0, 103.0]
    assert list(timing.chunks) == [103.0, 104.0]
    assert timing.first_token == 103.0
    assert "gen_ai.response.time_to_first_chunk" not in (recorded.span().attributes or {})
    assert not {name for name in recorded.metrics() if "chunk" in name}
    assert "gen_ai.server.time_to_first_token" in recorded.metrics()


def test_steps_outside_of_a_call_are_not_reported(pushing: Any, recorded: Recorded) -> None:
    pushing.advance()
    recorded.spans(0)


def test_a_streamer_that_raises_ends_the_call_with_the_output_so_far(pushing: Any, recorded: Recorded) -> None:
    with pytest.raises(ToyError, match=r"^the streamer refuses$"):
        pushing.create(streamer=Streamer(), pieces=["prompt", "a", "refused", "b"])
    span = recorded.span()
    assert attribute(span, "error.type") == "tests.support.toy_library.ToyError"
    assert attribute(span, "gen_ai.usage.output_tokens") == len("a" + "refused")


def test_a_call_in_a_bare_thread_is_a_child_of_the_span_in_which_its_streamer_was_made(
    pushing: Any, recorded: Recorded
) -> None:
    with trace.use_span(recorded.tracer_provider.get_tracer("app").start_span("app"), end_on_exit=True):
        streamer = Streamer()
        thread = threading.Thread(target=pushing.create, kwargs={"streamer": streamer, "pieces": ["prompt", "a"]})
        thread.start()
        thread.join()
    call, app = recorded.spans(2)
    assert call.parent == app.context


def test_a_call_within_a_span_is_a_child_of_that_span(pushing: Any, recorded: Recorded) -> None:
    tracer = recorded.tracer_provider.get_tracer("app")
    with trace.use_span(tracer.start_span("maker"), end_on_exit=True):
        streamer = Streamer()
    with trace.use_span(tracer.start_span("caller"), end_on_exit=True):
        pushing.create(streamer=streamer, pieces=["prompt", "a"])
    _, call, caller = recorded.spans(3)
    assert call.parent == caller.context


@pytest.mark.parametrize(
    ("side", "metrics"),
    [
        (Side.CLIENT, {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}),
        (
            Side.INTERNAL,
            {
                "gen_ai.client.operation.duration",
                "gen_ai.client.token.usage",
                "gen_ai.server.request.duration",
                "gen_ai.server.time_to_first_token",
                "gen_ai.server.time_per_output_token",
                "otel_genai.engine.queue.duration",
            },
        ),
        (
            Side.SERVER,
            {
                "gen_ai.server.request.duration",
                "gen_ai.server.time_to_first_token",
                "gen_ai.server.time_per_output_token",
                "otel_genai.engine.queue.duration",
            },
        ),
    ],
)
def test_metrics_are_those_of_the_side(recorded: Recorded, side: Side, metrics: set[str]) -> None:
    telemetry = Telemetry("toy", "1", Config(), **recorded.providers)
    request = Request(operation="chat", provider="toy", side=side)
    span = telemetry.start(request, 0)
    timing = Timing(began_ns=0, started=0.0, ended=1.0, first_token=0.25, phases=(Phase("queue", 0.0, 0.125),))
    telemetry.report(
        span,
        trace.set_span_in_context(span),
        Operation(request=request, timing=timing, response=Response(usage=Usage(output=4))),
    )
    assert set(recorded.metrics()) == metrics
    assert attribute(recorded.span(), "otel_genai.phase.queue") == 0.125
    if side is Side.SERVER:
        # Three tokens follow the first in the remaining 0.75 s.
        (point,) = recorded.metrics()["gen_ai.server.time_per_output_token"]
        assert (point.count, point.sum) == (1, 0.25)


def test_times_have_exemplars_and_counts_have_none(recorded: Recorded) -> None:
    telemetry = Telemetry("toy", "1", Config(), **recorded.providers)
    request = Request(operation="chat", provider="toy")
    span = telemetry.start(request, 0)
    timing = Timing(began_ns=0, started=0.0, ended=1.0)
    response = Response(usage=Usage(input=2, output=4))
    telemetry.report(
        span, trace.set_span_in_context(span), Operation(request=request, timing=timing, response=response)
    )
    exemplars = {name: sum(len(point.exemplars) for point in points) for name, points in recorded.metrics().items()}
    assert exemplars == {"gen_ai.client.operation.duration": 1, "gen_ai.client.token.usage": 0}


def test_time_per_output_token_is_that_of_each_of_several_sequences(recorded: Recorded) -> None:
    telemetry = Telemetry("toy", "1", Config(), **recorded.providers)
    request = Request(operation="chat", provider="toy", side=Side.INTERNAL)
    span = telemetry.start(request, 0)
    timing = Timing(began_ns=0, started=0.0, ended=1.0, first_token=0.25)
    response = Response(usage=Usage(output=8), finish_reasons=("stop", "length"))
    telemetry.report(
        span, trace.set_span_in_context(span), Operation(request=request, timing=timing, response=response)
    )
    (point,) = recorded.metrics()["gen_ai.server.time_per_output_token"]
    assert (point.count, point.sum) == (1, 0.25)
