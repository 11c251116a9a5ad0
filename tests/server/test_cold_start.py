"""A cold start: one span from the start of the process to its first served request; its children are the loading of models."""

from __future__ import annotations

import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode

from otel_genai.call import context as call_context
from otel_genai.call.call import finish_open_calls
from otel_genai.config import Config
from otel_genai.endpoint.endpoint import Endpoint
from otel_genai.endpoint.rows import CallRow
from otel_genai.endpoint.server_rows import LibrarySpansRow, StartupRow
from otel_genai.operation import Failure, Request, Side
from otel_genai.patching.patches import Patches
from otel_genai.semconv import otel_genai
from otel_genai.server import cold_start
from otel_genai.server.yielding_provider import YIELDS_TO_LIBRARY
from otel_genai.telemetry import observers, process_start
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.providers import Recorded, attribute
from tests.support.toy_library import TOY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

AGE_S = 40.0
INFERENCE = replace(
    TOY,
    default=TOY.default._replace(side=Side.INTERNAL),
    request=lambda _: TOY.default._replace(side=Side.INTERNAL, model="toy-1"),
)


def endpoint(operation: str, provider: str = TOY.default.provider) -> Endpoint:
    request = Request(operation, provider, side=Side.INTERNAL)
    return Endpoint(default=request, request=lambda _: request, failure=lambda error, _: Failure.of(error))


COLD_START = Request(otel_genai.COLD_START, TOY.default.provider, side=Side.INTERNAL)


class Engine:
    """An engine that answers requests."""

    def __init__(self, work: Callable[[], Any] | None = None) -> None:
        if work:
            work()

    def generate(self, work: Callable[[], Any] | None = None) -> str:
        if work:
            work()
        return "answer"


def serving_library() -> types.ModuleType:
    module = types.ModuleType("toy_library")
    module.Engine = type("Engine", (Engine,), {})  # type: ignore[attr-defined]
    module.found = lambda: "what the library finds"  # type: ignore[attr-defined]

    def parent() -> Any:
        return module.found()

    for name, function in (
        ("load", lambda: None),
        ("evaluate", lambda: None),
        ("ask_elsewhere", lambda: None),
        ("parent", parent),
        ("report", lambda: "reported"),
        ("set_provider", lambda: "set"),
    ):
        setattr(module, name, function)
    return module


@pytest.fixture
def library(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A library in a process that is `AGE_S` old and has created no engine."""
    monkeypatch.setattr(cold_start, "_begun_in", None)
    monkeypatch.setattr(process_start, "seconds_until", lambda _: AGE_S)
    module = serving_library()
    monkeypatch.setitem(sys.modules, "toy_library", module)
    telemetry = Telemetry("toy", "1", Config(), **recorded.providers)
    patches = Patches(
        (
            StartupRow(module="toy_library", target="Engine.__init__", request=COLD_START),
            CallRow(module="toy_library", target="Engine.generate", endpoint=INFERENCE),
            CallRow(module="toy_library", target="load", endpoint=endpoint(otel_genai.LOAD_MODEL)),
            CallRow(module="toy_library", target="evaluate", endpoint=endpoint(otel_genai.PIPELINE)),
            CallRow(module="toy_library", target="ask_elsewhere", endpoint=endpoint("chat", "another")),
            LibrarySpansRow(module="toy_library", target="parent", part="parent"),
            LibrarySpansRow(module="toy_library", target="report", part="report"),
            LibrarySpansRow(module="toy_library", target="set_provider", part="provider"),
            LibrarySpansRow(module="toy_library", target="moved_away", part="report", optional=True),
        ),
        lambda: telemetry,
    )
    patches.apply()
    yield module
    finish_open_calls()
    patches.revert()
    call_context.forget_cold_start()


def phases(span: ReadableSpan) -> dict[str, float]:
    assert span.attributes is not None
    prefix = "otel_genai.phase."
    found: Any = span.attributes
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}


def named(recorded: Recorded, name: str, count: int) -> ReadableSpan:
    """The only span of this name among `count` spans."""
    (span,) = (span for span in recorded.spans(count) if span.name == name)
    return span


def test_a_cold_start_lasts_from_the_start_of_the_process_to_the_end_of_the_first_request(
    library: Any, recorded: Recorded
) -> None:
    engine = library.Engine()
    assert recorded.spans(0) == []
    engine.generate()
    engine.generate()
    first, start, *_ = (span for span in recorded.spans(7) if span.name in {"cold_start", "chat toy-1"})
    assert (start.name, start.kind, start.parent) == ("cold_start", SpanKind.INTERNAL, None)
    # The wall clock and the monotonic clock are read one after the other.
    assert (start.end_time or 0) / 1e9 == pytest.approx((first.end_time or 1) / 1e9, abs=1e-3)
    assert ((first.start_time or 0) - (start.start_time or 0)) / 1e9 == pytest.approx(AGE_S, abs=5)
    assert dict(start.attributes or {}).keys() == {
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.response.model",
        *(f"otel_genai.phase.{phase}" for phase in ("import", "start_engine", "await_request", "first_request")),
    }
    assert phases(start)["import"] == pytest.approx(AGE_S, abs=1)
    # The phases leave out the time in which the request is reported.
    assert sum(phases(start).values()) == pytest.approx(
        ((start.end_time or 0) - (start.start_time or 0)) / 1e9, abs=2e-5
    )
    assert attribute(start, "gen_ai.response.model") == "toy-1"
    assert first.parent is None


def test_the_phases_of_a_cold_start_are_spans(library: Any, recorded: Recorded) -> None:
    library.Engine().generate()
    spans = recorded.spans(6)
    start = named(recorded, "cold_start", 6)
    assert [span.name for span in spans if span.parent == start.context] == [
        "import",
        "start_engine",
        "await_request",
        "first_request",
    ]


def test_a_model_that_is_loaded_meanwhile_is_a_child_of_the_cold_start(library: Any, recorded: Recorded) -> None:
    library.load()
    library.Engine(library.load).generate()
    library.load()
    before, during, after = (span for span in recorded.spans(9) if span.name == "load_model")
    assert (before.parent, during.parent, after.parent) == (None, named(recorded, "cold_start", 9).context, None)


def test_a_span_of_the_application_stays_the_parent_of_a_loaded_model(library: Any, recorded: Recorded) -> None:
    with recorded.tracer_provider.get_tracer("app").start_as_current_span("app") as app:
        library.Engine(library.load).generate()
        assert trace.get_current_span() is app
    assert named(recorded, "load_model", 8).parent == app.get_span_context()
    assert named(recorded, "cold_start", 8).parent is None


def test_the_librarys_own_spans_are_children_of_the_cold_start(library: Any, recorded: Recorded) -> None:
    assert library.parent() == "what the library finds"
    engine = library.Engine()
    within = library.parent()
    with recorded.tracer_provider.get_tracer("app").start_as_current_span("app"):
        assert library.parent() == "what the library finds"
    engine.generate()
    start = named(recorded, "cold_start", 7)
    assert trace.get_current_span(within).get_span_context() == start.context
    assert library.parent() == "what the library finds"


def test_a_parent_that_the_library_received_wins_over_the_trace_in_which_the_process_was_started(library: Any) -> None:
    def within(span_id: int) -> Any:
        return trace.set_span_in_context(trace.NonRecordingSpan(trace.SpanContext(1, span_id, is_remote=True)))

    of_the_run, passed = within(2), within(3)
    with call_context.current(of_the_run):
        # The library looks for a current span before it reads the headers.
        library.found = lambda: None if trace.get_current_span().get_span_context().is_valid else passed
        assert library.parent() is passed
        library.found = Context
        assert library.parent() is of_the_run


def test_a_failed_request_does_not_end_the_cold_start(library: Any, recorded: Recorded) -> None:
    def fail() -> None:
        raise MemoryError

    engine = library.Engine()
    with pytest.raises(MemoryError):
        engine.generate(fail)
    assert [span.name for span in recorded.spans(1)] == ["chat toy-1"]
    engine.generate()
    assert named(recorded, "cold_start", 7).status.status_code is StatusCode.UNSET


def test_neither_loading_nor_a_request_to_another_provider_ends_the_cold_start(
    library: Any, recorded: Recorded
) -> None:
    engine = library.Engine()
    library.load()
    library.ask_elsewhere()
    assert {span.name for span in recorded.spans(2)} == {"load_model", "chat"}
    engine.generate()
    assert observers._observers == []
    assert named(recorded, "cold_start", 8).status.status_code is StatusCode.UNSET


def test_a_call_of_the_application_is_not_a_child_of_the_cold_start(library: Any, recorded: Recorded) -> None:
    library.Engine()
    library.evaluate()
    assert recorded.span().parent is None


def test_a_process_that_ends_before_its_first_request_reports_its_cold_start(library: Any, recorded: Recorded) -> None:
    library.Engine()
    finish_open_calls()
    start = named(recorded, "cold_start", 4)
    assert list(phases(start)) == ["import", "start_engine", "await_request"]


def test_an_engine_that_cannot_be_created_is_the_failure_of_the_cold_start(library: Any, recorded: Recorded) -> None:
    def refuse() -> None:
        raise MemoryError("secret")

    with pytest.raises(MemoryError):
        library.Engine(refuse)
    finish_open_calls()
    start = recorded.span()
    assert (start.status.status_code, start.status.description) == (StatusCode.ERROR, "MemoryError")
    assert attribute(start, "error.type") == "MemoryError"


def test_an_engine_that_is_created_at_the_second_attempt_is_not_a_failure(library: Any, recorded: Recorded) -> None:
    def refuse() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        library.Engine(refuse)
    library.Engine().generate()
    assert named(recorded, "cold_start", 6).status.status_code is StatusCode.UNSET


def test_a_process_has_one_cold_start(library: Any, recorded: Recorded) -> None:
    library.Engine().generate()
    library.Engine().generate()
    assert [span.name for span in recorded.spans(7)].count("cold_start") == 1


def test_preparations_run_once_before_the_span_begins(library: Any) -> None:
    seen: list[Any] = []
    cold_start.before_first_engine(lambda: seen.append(call_context.cold_start()))
    library.Engine()
    library.Engine()
    assert seen == [None]


def test_the_library_does_not_repeat_a_span_of_ours(library: Any) -> None:
    assert library.report() is None


def test_a_library_does_not_replace_the_tracer_provider(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    in_charge: Any = trace.ProxyTracerProvider()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: in_charge)
    assert library.set_provider() == "set"
    in_charge = types.SimpleNamespace()
    assert library.set_provider() is None
    setattr(in_charge, YIELDS_TO_LIBRARY, True)
    assert library.set_provider() == "set"


FORKING = """
import os, sys, types
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
sys.path.insert(0, {tests!r})
from tests.server import test_cold_start as toys
from otel_genai.call import context as call_context
sys.modules["toy_library"] = library = toys.serving_library()
provider = TracerProvider()
written = lambda span: f"{{span.name}} "
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=written)))
telemetry = toys.Telemetry("toy", "1", toys.Config(), tracer_provider=provider)
toys.Patches((
    toys.StartupRow(module="toy_library", target="Engine.__init__", request=toys.COLD_START),
    toys.CallRow(module="toy_library", target="Engine.generate", endpoint=toys.INFERENCE),
), lambda: telemetry).apply()
engine = library.Engine()
if os.fork() == 0:
    assert call_context.cold_start() is None
    engine.generate()
    os._exit(0)
os.wait()
print("|", end=" ", flush=True)
engine.generate()
"""


def test_a_forked_process_does_not_report_the_cold_start_of_its_parent(tmp_path: Path) -> None:
    script = FORKING.format(tests=str(Path(__file__).parents[2]))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout == "chat toy-1 | chat toy-1 import start_engine await_request first_request cold_start ", done
