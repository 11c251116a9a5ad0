"""The life of a call: every way it can begin and end, with a toy library and a clock that is told the time."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import types
from dataclasses import replace
from importlib.machinery import ModuleSpec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from otel_genai.config import Config
from otel_genai.endpoint.endpoint import Endpoint, Fold
from otel_genai.endpoint.rows import CallRow
from otel_genai.operation import Operation, Usage
from otel_genai.patching.patches import Patches
from otel_genai.telemetry.observers import observe
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.providers import Recorded, attribute
from tests.support.toy_library import TOY, AsyncStream, Stream, ToyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SPAN_IN_LIBRARY: list[trace.SpanContext] = []


def library() -> types.ModuleType:
    """A fresh `toy_library` with one client class."""
    module = types.ModuleType("toy_library")

    class Client:
        def create(self, *, result: Any, model: str | None = None, text: str = "") -> Any:
            SPAN_IN_LIBRARY.append(trace.get_current_span().get_span_context())
            if isinstance(result, BaseException):
                raise result
            return result

        async def acreate(self, *, result: Any, model: str | None = None, text: str = "") -> Any:
            await asyncio.sleep(0)
            if isinstance(result, asyncio.Event):
                await result.wait()
            return self.create(result=result)

    module.Client = Client  # type: ignore[attr-defined]
    return module


class Setup:
    """A patched toy, and the means to take the patches back."""

    def __init__(self, recorded: Recorded, config: Config | None = None, endpoint: Endpoint = TOY) -> None:
        self.recorded = recorded
        self.module = library()
        sys.modules["toy_library"] = self.module
        self.telemetry = Telemetry("toy", "1", config or Config(), **recorded.providers)
        self.patches = Patches(
            (
                CallRow(module="toy_library", target="Client.create", endpoint=endpoint),
                CallRow(module="toy_library", target="Client.acreate", endpoint=endpoint, awaits=True),
            ),
            lambda: self.telemetry,
        )
        self.patches.apply()

    @property
    def client(self) -> Any:
        return self.module.Client()


@pytest.fixture
def toy(recorded: Recorded) -> Iterator[Setup]:
    SPAN_IN_LIBRARY.clear()
    setup = Setup(recorded)
    yield setup
    setup.patches.revert()
    del sys.modules["toy_library"]


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that advances by one second every time it is read, from 100 s; the wall stands at 5 s."""
    ticks = count(100)
    monkeypatch.setattr("otel_genai.call.call.perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr("otel_genai.call.call.time_ns", lambda: 5_000_000_000)


# ── calls that return ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("ticking")
def test_a_call_is_one_client_span(toy: Setup) -> None:
    assert toy.client.create(result="answer", model="m") == "answer"
    span = toy.recorded.span()
    assert (span.name, span.kind, span.status.status_code) == ("chat m", SpanKind.CLIENT, StatusCode.UNSET)
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "toy",
        "gen_ai.request.model": "m",
        "gen_ai.response.id": "answer",
    }
    # Read at 100 (start), 101 (entering the library), 102 (end).
    assert (span.start_time, span.end_time) == (5_000_000_000, 7_000_000_000)
    (point,) = toy.recorded.metrics()["gen_ai.client.operation.duration"]
    assert (point.count, point.sum) == (1, 2.0)


def test_the_application_gets_the_very_object(toy: Setup) -> None:
    result = object()
    assert toy.client.create(result=result) is result


def test_the_span_is_current_while_the_library_works_and_no_longer(toy: Setup) -> None:
    before = otel_context.get_current()
    toy.client.create(result="x")
    assert otel_context.get_current() is before
    (inside,) = SPAN_IN_LIBRARY
    assert inside == toy.recorded.span().context


def test_a_call_is_a_child_of_the_callers_span(toy: Setup) -> None:
    with toy.recorded.tracer_provider.get_tracer("app").start_as_current_span("request") as parent:
        toy.client.create(result="x")
    child = toy.recorded.spans(2)[0]
    assert child.parent == parent.get_span_context()


@pytest.mark.parametrize("error", [ToyError("secret"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_is_the_applications_own_and_the_spans_type(toy: Setup, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        toy.client.create(result=error)
    assert caught.value is error
    span = toy.recorded.span()
    name = "tests.support.toy_library.ToyError" if isinstance(error, ToyError) else type(error).__name__
    assert attribute(span, "error.type") == name
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, type(error).__name__)
    assert not span.events, "a message may hold content"
    (point,) = toy.recorded.metrics()["gen_ai.client.operation.duration"]
    assert point.attributes["error.type"] == name


async def test_an_awaited_call_is_one_span(toy: Setup) -> None:
    assert await toy.client.acreate(result="answer") == "answer"
    assert attribute(toy.recorded.span(), "gen_ai.response.id") == "answer"


async def test_wrong_arguments_are_refused_where_they_are_given(toy: Setup) -> None:
    with pytest.raises(TypeError, match="unexpected keyword"):
        toy.client.acreate(nonsense=1)
    assert toy.recorded.spans(0) == []


async def test_a_cancelled_call_ends_as_cancelled(toy: Setup) -> None:
    event = asyncio.Event()
    task = asyncio.create_task(toy.client.acreate(result=event))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert attribute(toy.recorded.span(), "error.type") == "asyncio.exceptions.CancelledError"


async def test_concurrent_calls_each_have_their_own_parent(toy: Setup) -> None:
    tracer = toy.recorded.tracer_provider.get_tracer("app")

    async def request(number: int) -> None:
        with tracer.start_as_current_span(f"request {number}"):
            stream = await toy.client.acreate(result=AsyncStream(["a", "b"]), model=str(number))
            async for _ in stream:
                await asyncio.sleep(0)
            assert trace.get_current_span().name == f"request {number}"  # type: ignore[attr-defined]

    await asyncio.gather(*map(request, range(50)))
    spans = toy.recorded.spans(100)
    parents = {span.context.span_id: span.name for span in spans if span.parent is None}
    pairs = {(span.name, parents[span.parent.span_id]) for span in spans if span.parent is not None}
    assert pairs == {(f"chat {number}", f"request {number}") for number in range(50)}


# ── streams ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("ticking")
def test_a_stream_read_to_its_end(toy: Setup) -> None:
    operations: list[Operation] = []
    stop = observe(lambda operation, _: operations.append(operation))
    assert list(toy.client.create(result=Stream(["", "a", "b"]))) == ["", "a", "b"]
    stop()
    (operation,) = operations
    # 100 start, 101 the call; then (asked, arrived) for each chunk, asked for the end at 108, ended at 109.
    assert list(operation.timing.asked) == [102.0, 104.0, 106.0]
    assert list(operation.timing.chunks) == [103.0, 105.0, 107.0]
    assert (operation.timing.started, operation.timing.ended) == (100.0, 109.0)
    assert operation.timing.time_to_first_chunk == 3.0
    assert operation.timing.time_to_first_token == 5.0
    assert list(operation.timing.tokens) == [0, 1, 1]
    assert not operation.unfinished
    assert operation.response.usage == Usage(output=3)
    span = toy.recorded.span()
    assert span.end_time == 14_000_000_000
    metrics = toy.recorded.metrics()
    (point,) = metrics["gen_ai.client.operation.time_per_output_chunk"]
    assert (point.count, point.sum) == (2, 4.0)
    (point,) = metrics["gen_ai.client.operation.time_to_first_chunk"]
    assert (point.count, point.sum) == (1, 3.0)


async def test_an_async_stream_read_to_its_end(toy: Setup) -> None:
    stream = await toy.client.acreate(result=AsyncStream(["a", "b"]))
    assert [chunk async for chunk in stream] == ["a", "b"]
    assert attribute(toy.recorded.span(), "gen_ai.usage.output_tokens") == 2


def test_a_stream_passes_for_the_librarys_own(toy: Setup) -> None:
    original = Stream(["a"])
    stream = toy.client.create(result=original)
    assert isinstance(stream, Stream)
    assert stream.chunks is original.chunks
    stream.note = "kept"  # type: ignore[attr-defined]
    assert vars(original)["note"] == "kept"
    assert not hasattr(stream, "aclose")
    assert not [name for name in vars(original) if "call" in name]
    with stream as entered:
        assert entered is stream
    assert original.closed


def test_the_loop_body_does_not_run_inside_the_span(toy: Setup) -> None:
    before = otel_context.get_current()
    for _ in toy.client.create(result=Stream(["a", "b"])):
        assert otel_context.get_current() is before
    assert otel_context.get_current() is before


def leave_by_break(stream: Any) -> None:
    for _ in stream:
        break


def leave_by_return(stream: Any) -> None:
    for _ in stream:
        return


def leave_by_error(stream: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        for _ in stream:
            1 / 0  # noqa: B018


def close(stream: Any) -> None:
    next(stream)
    stream.close()


def leave_with(stream: Any) -> None:
    with stream:
        next(stream)


def leave_with_by_error(stream: Any) -> None:
    with pytest.raises(ZeroDivisionError), stream:
        next(stream)
        1 / 0  # noqa: B018


def drop(stream: Any) -> None:
    next(stream)


def close_twice(stream: Any) -> None:
    close(stream)
    stream.close()


EARLY_STOPS = [
    leave_by_break,
    leave_by_return,
    leave_by_error,
    close,
    leave_with,
    leave_with_by_error,
    drop,
    close_twice,
]


@pytest.mark.parametrize("stop", EARLY_STOPS)
def test_an_early_stop_is_one_span_without_error(toy: Setup, stop: Callable[[Any], None]) -> None:
    stop(toy.client.create(result=Stream(["a", "b", "c"])))
    span = toy.recorded.span()
    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in (span.attributes or {})
    assert attribute(span, "gen_ai.usage.output_tokens") == 1


def test_break_with_the_stream_still_at_hand_ends_the_span(toy: Setup) -> None:
    stream = toy.client.create(result=Stream(["a", "b"]))
    leave_by_break(stream)
    assert attribute(toy.recorded.span(), "gen_ai.usage.output_tokens") == 1
    assert list(stream) == ["b"], "what is left is still the application's to read"
    assert len(toy.recorded.spans(1)) == 1


async def test_early_stops_of_an_async_stream_are_no_errors(toy: Setup) -> None:
    async for _ in await toy.client.acreate(result=AsyncStream(["a", "b"])):
        break
    original = AsyncStream(["a", "b"])
    async with await toy.client.acreate(result=original) as stream:
        assert await anext(stream) == "a"
    assert original.closed
    stream = await toy.client.acreate(result=AsyncStream(["a"]))
    await anext(stream)
    await stream.close()
    stream = await toy.client.acreate(result=AsyncStream(["a"]))
    await anext(stream)
    del stream
    await asyncio.sleep(0)
    spans = await asyncio.to_thread(toy.recorded.spans, 4)
    assert {span.status.status_code for span in spans} == {StatusCode.UNSET}
    assert [attribute(span, "gen_ai.usage.output_tokens") for span in spans] == [1, 1, 1, 1]


def test_a_stream_that_is_never_read_is_reported(toy: Setup) -> None:
    toy.client.create(result=Stream(["a"]))
    assert "gen_ai.response.time_to_first_chunk" not in (toy.recorded.span().attributes or {})


def test_a_stream_in_cyclic_garbage_is_reported(toy: Setup) -> None:
    holder: dict[str, Any] = {"stream": toy.client.create(result=Stream(["a"]))}
    holder["self"] = holder
    del holder
    gc.collect()
    assert toy.recorded.span().status.status_code is StatusCode.UNSET


def test_an_error_in_mid_stream_is_an_error(toy: Setup) -> None:
    error = ToyError()
    stream = toy.client.create(result=Stream(["a", error]))
    with pytest.raises(ToyError) as caught:
        list(stream)
    assert caught.value is error
    span = toy.recorded.span()
    assert attribute(span, "error.type") == "tests.support.toy_library.ToyError"
    assert attribute(span, "gen_ai.usage.output_tokens") == 1


async def test_a_stream_cancelled_in_flight_ends_as_cancelled(toy: Setup) -> None:
    class Stuck(AsyncStream):
        async def __anext__(self) -> Any:
            await asyncio.Event().wait()

    stream = await toy.client.acreate(result=Stuck([]))
    task = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert attribute(toy.recorded.span(), "error.type") == "asyncio.exceptions.CancelledError"


def test_a_stream_read_and_closed_by_other_threads_is_one_span(toy: Setup, caplog: pytest.LogCaptureFixture) -> None:
    stream = toy.client.create(result=Stream(["a", "b"]))
    reader = threading.Thread(target=next, args=(stream,))
    reader.start()
    reader.join()
    closers = [threading.Thread(target=stream.close) for _ in range(8)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join()
    assert attribute(toy.recorded.span(), "gen_ai.usage.output_tokens") == 1
    assert caplog.records == [], "OpenTelemetry logs a context detached in another thread"


def test_what_was_reported_does_not_change_afterwards(toy: Setup) -> None:
    operations: list[Operation] = []
    stop = observe(lambda operation, _: operations.append(operation))
    stream = toy.client.create(result=Stream(["a", "b", "c"]))
    next(stream)
    stream.close()
    list(stream)
    stop()
    assert len(operations[0].timing.chunks) == 1


OPEN_AT_EXIT = """
import sys; sys.path.insert(0, {tests!r})
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + chr(10))))
from tests.support.providers import Recorded
from tests.call import test_call
recorded = Recorded()
recorded.tracer_provider = provider
toy = test_call.Setup(recorded)
stream = toy.client.create(result=test_call.Stream(["a", "b"]), model="open-at-exit")
next(stream)
{end}
"""


@pytest.mark.parametrize("end", ["", "for chunk in stream: break", "del stream", "import os; sys.exit(3)"])
def test_a_stream_that_is_open_at_interpreter_exit_is_exported(end: str) -> None:
    script = OPEN_AT_EXIT.format(tests=str(Path(__file__).parents[2]), end=end)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("chat open-at-exit\n", "")


CALL_AT_EXIT = """
from otel_genai.telemetry.observers import observe
observe(lambda operation, _: print("unfinished" if operation.unfinished else "finished"))
call = toy.client.acreate(result="x", model="called-at-exit")
call.send(None)
"""


def test_a_call_that_never_came_back_is_exported_at_exit_as_unfinished() -> None:
    script = OPEN_AT_EXIT.format(tests=str(Path(__file__).parents[2]), end="")
    script = script[: script.index("stream =")] + CALL_AT_EXIT
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("unfinished\nchat called-at-exit\n", "")


IN_A_FORK = """
import os, sys
sys.stdout.flush()
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_fork_does_not_report_what_its_parent_has_begun() -> None:
    script = OPEN_AT_EXIT.format(tests=str(Path(__file__).parents[2]), end=IN_A_FORK)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("chat open-at-exit\n", "")


# ── what is not reported ───────────────────────────────────────────────────────────────────────────────────────────────


def test_suppressed_instrumentation_is_not_reported(toy: Setup) -> None:
    with suppress_instrumentation():
        assert toy.client.create(result="x") == "x"
    assert toy.recorded.spans(0) == []
    assert toy.recorded.metrics() == {}


async def test_an_operation_inside_one_of_the_same_name_is_not_reported_twice(toy: Setup) -> None:
    await toy.client.acreate(result="x")  # which calls `create`, also patched, inside
    assert len(SPAN_IN_LIBRARY) == 1
    assert [span.context for span in toy.recorded.spans(1)] == SPAN_IN_LIBRARY


def test_an_unsampled_call_is_measured_and_builds_nothing(recorded: Recorded) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("content was built for a span that is not recorded")

    recorded.tracer_provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    setup = Setup(
        recorded,
        Config(content_on_spans=True, content_on_events=True, emit_event=True),
        replace(TOY, prompt=never),
    )
    operations: list[Operation] = []
    stop = observe(lambda operation, _: operations.append(operation))
    setup.client.create(result="x")
    list(setup.client.create(result=Stream(["a"])))
    stop()
    setup.patches.revert()
    assert recorded.events() == []
    assert [operation.response.messages for operation in operations] == [(), ()]
    (point,) = recorded.metrics()["gen_ai.client.operation.duration"]
    assert point.count == 2


def test_with_content_off_no_content_is_built(recorded: Recorded) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("content was built though nobody wants it")

    setup = Setup(recorded, Config(emit_event=True), replace(TOY, prompt=never))
    setup.client.create(result="x")
    setup.patches.revert()
    (event,) = recorded.events()
    assert "gen_ai.output.messages" not in (event.log_record.attributes or {})


# ── errors of ours ─────────────────────────────────────────────────────────────────────────────────────────────────────


def broken(*_: Any) -> Any:
    raise RuntimeError("a bug of ours")


class BrokenFold(Fold):
    def __init__(self, *_: Any) -> None:
        pass

    add = broken  # type: ignore[assignment]
    response = broken


@pytest.mark.usefixtures("_lenient")
@pytest.mark.parametrize(
    "endpoint",
    [
        replace(TOY, request=broken),
        replace(TOY, prompt=broken),
        replace(TOY, response=broken),
        replace(TOY, fold=broken),
        replace(TOY, fold=BrokenFold),
        replace(TOY, failure=broken),
    ],
    ids=["request", "prompt", "response", "fold", "chunk", "failure"],
)
def test_an_adapter_that_raises_costs_its_words_and_nothing_else(recorded: Recorded, endpoint: Endpoint) -> None:
    setup = Setup(recorded, Config(content_on_spans=True, content_on_events=True, emit_event=True), endpoint)
    assert setup.client.create(result="x") == "x"
    assert list(setup.client.create(result=Stream(["a", "b"]))) == ["a", "b"]
    with pytest.raises(ToyError):
        setup.client.create(result=ToyError())
    setup.patches.revert()
    spans = recorded.spans(3)
    assert {span.name for span in spans} == {"chat"}
    assert attribute(spans[2], "error.type") == "tests.support.toy_library.ToyError"


class Broken:
    """Anything that telemetry is written to, out of order."""

    def __getattr__(self, name: str) -> Any:
        return broken


@pytest.mark.usefixtures("_lenient")
@pytest.mark.parametrize("part", ["_tracer", "_logger"])
def test_a_writer_that_raises_does_not_reach_the_application(recorded: Recorded, part: str) -> None:
    setup = Setup(recorded, Config(emit_event=True))
    setattr(setup.telemetry, part, Broken())
    assert setup.client.create(result="x") == "x"
    assert list(setup.client.create(result=Stream(["a"]))) == ["a"]
    setup.patches.revert()


@pytest.mark.usefixtures("_lenient")
def test_an_observer_that_raises_does_not_reach_the_application(toy: Setup) -> None:
    seen: list[str | None] = []
    stop_broken = observe(broken)
    stop = observe(lambda operation, _: seen.append(operation.response.id))
    assert toy.client.create(result="x") == "x"
    stop_broken()
    stop()
    toy.client.create(result="y")
    assert seen == ["x"]
    assert len(toy.recorded.spans(2)) == 2


def test_an_observer_is_told_which_span_it_was(toy: Setup) -> None:
    seen: list[trace.SpanContext] = []
    stop = observe(lambda _, span: seen.append(span.get_span_context()))
    toy.client.create(result="x")
    stop()
    stop()
    assert seen == [toy.recorded.span().context]


# ── patching ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_uninstrumented_is_what_it_was(recorded: Recorded) -> None:
    setup = Setup(recorded)
    original = setup.module.Client.create.__wrapped__
    setup.patches.revert()
    assert vars(setup.module.Client)["create"] is original
    setup.client.create(result="x")
    assert recorded.spans(0) == []


def test_a_wrapper_under_somebody_elses_falls_silent(recorded: Recorded) -> None:
    setup = Setup(recorded)
    ours = setup.module.Client.create

    def somebody_elses(self: Any, **arguments: Any) -> Any:
        return ours(self, **arguments)

    setup.module.Client.create = somebody_elses
    setup.patches.revert()
    assert setup.client.create(result="x") == "x"
    assert recorded.spans(0) == []


def test_a_stream_that_outlives_the_instrumentation_is_still_reported(recorded: Recorded) -> None:
    setup = Setup(recorded)
    stream = setup.client.create(result=Stream(["a"]))
    setup.patches.revert()
    assert list(stream) == ["a"]
    assert attribute(recorded.span(), "gen_ai.usage.output_tokens") == 1


def test_a_module_is_patched_when_it_arrives_and_never_imported(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy_that_arrives.py").write_text("class Client:\n    def create(self, **_): return 'x'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = (CallRow(module="toy_that_arrives", target="Client.create", endpoint=TOY),)
    patches = Patches(rows, lambda: Telemetry("toy", "1", Config(), **recorded.providers))
    patches.apply()
    assert "toy_that_arrives" not in sys.modules
    import toy_that_arrives  # type: ignore[import-not-found]

    assert toy_that_arrives.Client().create() == "x"
    assert len(recorded.spans(1)) == 1
    patches.revert()
    del sys.modules["toy_that_arrives"]


def test_a_module_that_runs_as_the_program_is_patched_under_way(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = types.ModuleType("__main__")
    program.__spec__ = ModuleSpec("toy_program", None)
    program.Client = library().Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", program)
    rows = tuple(CallRow(module="toy_program", target=f"{name}.create", endpoint=TOY) for name in ("Client", "Later"))
    patches = Patches(rows, lambda: Telemetry("toy", "1", Config(), **recorded.providers))
    patches.apply()
    assert program.Client().create(result="x") == "x"
    assert len(recorded.spans(1)) == 1
    patches.revert()


@pytest.mark.usefixtures("_lenient")
def test_a_target_that_moved_is_one_warning_and_the_others_still_work(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    sys.modules["toy_library"] = library()
    rows = (
        CallRow(module="toy_library", target="Gone.create", endpoint=TOY),
        CallRow(module="toy_library", target="Client.create", endpoint=TOY),
    )
    patches = Patches(rows, lambda: Telemetry("toy", "1", Config(), **recorded.providers))
    patches.apply()
    (record,) = caplog.records
    assert "Gone.create of toy_library is not instrumented" in record.getMessage()
    sys.modules["toy_library"].Client().create(result="x")
    assert len(recorded.spans(1)) == 1
    patches.revert()
    del sys.modules["toy_library"]


def test_an_inherited_method_is_taken_back_without_a_trace(recorded: Recorded) -> None:
    module = library()

    class Derived(module.Client):  # type: ignore[name-defined, misc]
        pass

    module.Derived = Derived  # type: ignore[attr-defined]
    sys.modules["toy_library"] = module
    patches = Patches(
        (CallRow(module="toy_library", target="Derived.create", endpoint=TOY),),
        lambda: Telemetry("toy", "1", Config(), **recorded.providers),
    )
    patches.apply()
    Derived().create(result="x")
    patches.revert()
    assert "create" not in vars(Derived)
    assert len(recorded.spans(1)) == 1
    del sys.modules["toy_library"]


def test_both_vintages_at_once(recorded: Recorded) -> None:
    setup = Setup(
        recorded, Config.from_environment({"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental/dup"})
    )
    list(setup.client.create(result=Stream(["a", "b"])))
    setup.patches.revert()
    assert recorded.metrics().keys() == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.token.usage",
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.time_per_output_chunk",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.operation.output_tokens",
    }
    assert recorded.schema_urls() == {
        "https://opentelemetry.io/schemas/1.41.0",
        "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
    }


def test_histograms_carry_exemplars_of_the_span(recorded: Recorded) -> None:
    setup = Setup(recorded)
    setup.client.create(result="x")
    setup.patches.revert()
    (point,) = recorded.metrics()["gen_ai.client.operation.duration"]
    assert [exemplar.span_id for exemplar in point.exemplars] == [recorded.span().context.span_id]


def test_of_a_streams_chunks_the_one_that_took_longest_leads_to_the_span(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Began, called; asked and arrived three times; asked, ended.
    times = iter([0.0, 0.0, 0.0, 1.0, 1.0, 8.0, 8.0, 8.25, 8.25, 8.25])
    monkeypatch.setattr("otel_genai.call.call.perf_counter", lambda: next(times))
    setup = Setup(recorded)
    list(setup.client.create(result=Stream(["a", "b", "c"])))
    setup.patches.revert()
    (point,) = recorded.metrics()["gen_ai.client.operation.time_per_output_chunk"]
    assert (point.count, point.sum) == (2, 7.25)
    assert [(exemplar.value, exemplar.span_id) for exemplar in point.exemplars] == [
        (7.0, recorded.span().context.span_id)
    ]


def test_times_between_chunks_can_be_left_out_of_the_metrics(recorded: Recorded) -> None:
    setup = Setup(recorded, Config(chunk_metrics=False))
    list(setup.client.create(result=Stream(["a", "b"])))
    setup.patches.revert()
    assert set(recorded.metrics()) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
    }
