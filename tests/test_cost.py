"""The cost of calls in counts, which are the same on every machine: our Python functions, steps into OpenTelemetry, records.

`python tests/test_cost.py` prints the counts of today. The limits are a little above them; a change that saves some lowers its limit.
"""

from __future__ import annotations

import gc
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

import otel_genai
from otel_genai import content, operation
from otel_genai.call.call import Call
from otel_genai.config import CHUNK_METRICS, Config
from otel_genai.endpoint.arguments import Arguments
from otel_genai.http.body import loose
from otel_genai.telemetry.telemetry import Telemetry
from tests.instrumentors.openai.test_memory import answering
from tests.support.openai.all_surfaces import SURFACES
from tests.support.openai.clients import CAPTURE, MADE, USER
from tests.support.openai.scripted_server import chunk, completion, delta

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    from tests.support.openai.all_surfaces import Surface

UPSTREAM = "opentelemetry.util.genai.invocation"
ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": USER}
WORD = chunk(delta(content="word "))
VECTOR = {
    "model": "text-embedding-3-small",
    "data": [{"index": 0, "embedding": [0.1]}],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}
CONTENT: tuple[type, ...] = (
    content.Text,
    content.Reasoning,
    content.ToolCall,
    content.ToolCallResponse,
    content.Blob,
    content.File,
    content.Uri,
    content.ServerToolCall,
    content.ServerToolCallResponse,
    content.Compaction,
    content.Message,
    content.Tool,
    content.Prompt,
)
RECORDS: tuple[type, ...] = (
    *CONTENT,
    operation.Request,
    operation.Usage,
    operation.Response,
    operation.Timing,
    operation.Failure,
    operation.Operation,
)


class Counts(NamedTuple):
    """The counts of some work."""

    ours: float
    """Python functions of this package that were entered; a generator counts each time that it is resumed."""
    opentelemetry: float
    """Calls from other packages into OpenTelemetry. Its calls of its own functions do not count."""
    functions: Counter[str]
    """`ours` by module and name."""
    records: Counter[type]
    """Records of `operation` and `content` that were made, by type."""


def making_code(kind: type) -> CodeType:
    """The code that runs whenever a record of this type is made."""
    for name in ("__init__", "__new__"):
        code: CodeType | None = getattr(getattr(kind, name), "__code__", None)
        if code is not None:
            return code
    raise AssertionError(f"{kind} has no Python code that makes it")


MAKING = {making_code(kind): kind for kind in RECORDS}


def package(frame: FrameType | None) -> str:
    """`opentelemetry` for a function of `opentelemetry.sdk.trace`."""
    return "" if frame is None else str(frame.f_globals.get("__name__")).partition(".")[0]


def counted(work: Callable[[], object]) -> Counts:
    """The counts of this thread while it works. It works once before, so that objects which are made only once do not count."""
    functions: Counter[str] = Counter()
    records: Counter[type] = Counter()
    steps = 0

    def entered(frame: FrameType, event: str, _: Any) -> None:
        nonlocal steps
        if event != "call":
            return
        if frame.f_code in MAKING:
            records[MAKING[frame.f_code]] += 1
        where = package(frame)
        if where == "otel_genai" or frame.f_code in MAKING:
            functions[f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}"] += 1
        elif where == "opentelemetry" and package(frame.f_back) != "opentelemetry":
            steps += 1

    work()
    gc.collect()
    gc.disable()  # finalizers of other objects are no part of the work
    sys.setprofile(entered)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return Counts(functions.total(), steps, functions, records)


def of_a_call() -> Counts:
    """A chat call that is not streamed."""
    create = answering(body=completion()).chat.completions.create
    return counted(lambda: create(**ASKED))


def of_an_embedding() -> Counts:
    """An embeddings call."""
    create = answering(body=VECTOR).embeddings.create
    return counted(lambda: create(model="text-embedding-3-small", input="hello", encoding_format="float"))


def of_a_chunk() -> Counts:
    """A chunk in the middle of a streamed chat call: a hundredth of the counts that a hundred more chunks add."""

    def stream(chunks: int) -> Counts:
        events = [chunk(delta(role="assistant", content="")), *[WORD] * chunks, chunk(delta(finish_reason="stop"))]
        create = answering(*events).chat.completions.create
        return counted(lambda: list(create(**ASKED, stream=True)))

    short, long = stream(10), stream(110)
    return Counts(
        (long.ours - short.ours) / 100,
        (long.opentelemetry - short.opentelemetry) / 100,
        long.functions - short.functions,
        long.records - short.records,
    )


class Cost(NamedTuple):
    """A limit."""

    of: Callable[[], Counts]
    ours: float
    opentelemetry: float
    sampled: bool = True
    environment: tuple[tuple[str, str], ...] = ()
    beside_upstream: bool = False
    """Whether the process has imported util-genai, which lets an inference mark its context by a record of upstream's."""

    def measured(self) -> Counts:
        """The counts of today."""
        providers = {
            "tracer_provider": TracerProvider(
                sampler=ALWAYS_ON if self.sampled else ALWAYS_OFF, shutdown_on_exit=False
            ),
            "meter_provider": MeterProvider(metric_readers=[InMemoryMetricReader()], shutdown_on_exit=False),
        }
        with pytest.MonkeyPatch.context() as patch:
            if self.beside_upstream:
                pytest.importorskip(UPSTREAM)
            else:  # another test may have imported it
                patch.delitem(sys.modules, UPSTREAM, raising=False)
            for name, value in self.environment:
                patch.setenv(name, value)
            otel_genai.instrument(**providers)
            try:
                return self.of()
            finally:
                otel_genai.uninstrument()


COSTS = {
    "a chat call": Cost(of_a_call, 92, 15),
    "a chat call, beside upstream": Cost(of_a_call, 92, 16, beside_upstream=True),
    "a chat call, not sampled": Cost(of_a_call, 87, 13, sampled=False),
    "a chat call, with content": Cost(of_a_call, 200, 19, environment=((CAPTURE, "true"),)),
    "an embeddings call": Cost(of_an_embedding, 72, 14),
    "a chunk": Cost(of_a_chunk, 6, 2),
    "a chunk, without its histogram": Cost(of_a_chunk, 6, 2, environment=((CHUNK_METRICS.variable, "false"),)),
    "a chunk, not sampled": Cost(of_a_chunk, 6, 2, sampled=False),
    "a chunk, with content": Cost(of_a_chunk, 18, 2, environment=((CAPTURE, "true"),)),
}


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_a_call_does_not_cost_more(cost: Cost) -> None:
    found = cost.measured()
    assert found.ours <= cost.ours, found.functions
    assert found.opentelemetry <= cost.opentelemetry


def test_counts_are_the_same_every_time() -> None:
    cost = COSTS["a chat call"]
    assert cost.measured() == cost.measured()


# ── records ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_makes_each_record_once() -> None:
    assert COSTS["a chat call"].measured().records == {
        operation.Request: 1,
        operation.Usage: 1,
        operation.Response: 1,
        operation.Timing: 1,
        operation.Operation: 1,
    }


def test_a_chunk_makes_no_record() -> None:
    assert COSTS["a chunk"].measured().records == {}


@pytest.mark.parametrize("sampled", [True, False], ids=["sampled", "not sampled"])
@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
def test_without_content_no_record_of_content_is_made(surface: Surface, sampled: bool) -> None:
    assert content_made(surface, Config(), sampled=sampled) == 0


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
def test_with_content_no_record_of_content_is_made_for_a_call_that_is_not_sampled(surface: Surface) -> None:
    everywhere = Config(content_on_spans=True, content_on_events=True)
    assert content_made(surface, everywhere, sampled=False) == 0
    assert content_made(surface, everywhere, sampled=True) > 0


def content_made(surface: Surface, config: Config, *, sampled: bool) -> int:
    """The number of records of content that a call and a stream of a surface make."""
    telemetry = Telemetry(
        "cost",
        "0",
        config,
        tracer_provider=TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF, shutdown_on_exit=False),
        meter_provider=MeterProvider(shutdown_on_exit=False),
    )

    resource = answering(body={}).chat.completions  # endpoints read its client only

    def call(asked: dict[str, Any], answer: Callable[[], Any]) -> Any:
        call = Call.begin(telemetry, surface.endpoint, Arguments(resource, (), asked))
        assert call is not None
        return call.return_value(answer())

    def work() -> None:
        call(surface.asked, lambda: received(surface.answer))
        if surface.events:
            list(call({**surface.asked, **surface.streams}, lambda: map(received, surface.events)))

    made = counted(work).records
    assert made[operation.Operation] == (2 if surface.events else 1)
    return sum(made[kind] for kind in CONTENT)


def received(value: Any) -> Any:
    """JSON as the client returns it."""
    return loose(json.dumps(value).encode())


def test_no_outcome_attributes_are_built_for_a_span_that_is_not_recorded() -> None:
    function = "otel_genai.telemetry.render.outcome_attributes"
    assert COSTS["a chat call"].measured().functions[function] == 1
    assert COSTS["a chat call, not sampled"].measured().functions[function] == 0


def main() -> None:
    """Print the counts of today."""
    for name, cost in COSTS.items():
        found = cost.measured()
        print(
            f"{name:32} ours {found.ours:7.2f} of {cost.ours:g}, OpenTelemetry {found.opentelemetry:6.2f} of {cost.opentelemetry:g}"
        )
    while MADE:
        MADE.pop().close()


if __name__ == "__main__":
    main()
