"""Operations that are reported by hand: their telemetry, their parents, and the cases in which nothing is reported."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import SpanKind, StatusCode

from otel_genai.call import context as call_context
from otel_genai.call.inbound import InboundRequest, with_inbound_request
from otel_genai.call.manual import ManualOperations
from otel_genai.config import Config
from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import RequestState
from otel_genai.operation import EngineStats, Failure, Operation, Request, Response, Side, Timing, Usage
from tests.support.providers import Recorded, attribute

if TYPE_CHECKING:
    from collections.abc import Generator

SERVED = Request(operation="chat", provider="toy", model="m", side=Side.SERVER)
ANSWER = Message(role="assistant", parts=(Text("hello"),))


@pytest.fixture
def manual(recorded: Recorded) -> ManualOperations:
    return ManualOperations("toy", Config(), **recorded.providers)


def test_an_operation_is_a_span_and_metrics(manual: ManualOperations, recorded: Recorded) -> None:
    call = manual.begin(SERVED)
    was_open = call.is_open
    recorded.spans(0)
    call.finish(Response(id="r", finish_reasons=("stop",), usage=Usage(input=3, output=2)))
    assert (was_open, call.is_open) == (True, False)
    span = recorded.span()
    assert (span.name, span.kind, span.status.status_code) == ("chat m", SpanKind.SERVER, StatusCode.UNSET)
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "toy",
        "gen_ai.request.model": "m",
        "gen_ai.response.id": "r",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
    }
    assert set(recorded.metrics()) == {"gen_ai.server.request.duration"}


def test_chunks_and_phases_have_the_times_that_are_reported(
    manual: ManualOperations, operations: list[Operation]
) -> None:
    call = manual.begin(SERVED, started=10.0)
    call.phase("queue", 10.0, 10.5)
    call.chunk(tokens=0, at=11.0)
    call.chunk(tokens=2, at=12.0)
    call.chunk(tokens=1, at=13.0)
    call.finish(Response(usage=Usage(output=3)), at=14.0)
    timing = operations[0].timing
    assert (timing.started, timing.ended, timing.duration) == (10.0, 14.0, 4.0)
    assert (list(timing.chunks), list(timing.waits), list(timing.tokens)) == ([11, 12, 13], [0, 0, 0], [0, 2, 1])
    assert timing.first_token == 12.0
    assert [tuple(phase) for phase in timing.phases] == [("queue", 10.0, 10.5)]


def test_uncounted_tokens_are_not_invented(manual: ManualOperations, operations: list[Operation]) -> None:
    call = manual.begin(SERVED, started=10.0)
    call.chunk(tokens=1, at=11.0)
    call.chunk(at=12.0)
    call.finish()
    timing = operations[0].timing
    assert (list(timing.chunks), timing.tokens, operations[0].response.usage) == ([11.0, 12.0], (), None)


def test_the_first_token_can_be_reported_by_itself(manual: ManualOperations, operations: list[Operation]) -> None:
    call = manual.begin(SERVED, started=10.0)
    call.first_token(at=11.5)
    call.finish()
    assert operations[0].timing.time_to_first_token == 1.5


@pytest.mark.parametrize("error", [ValueError("secret"), Failure("ValueError", "ValueError", message="secret")])
def test_a_failure_is_an_error_without_its_message(
    manual: ManualOperations, recorded: Recorded, error: Exception | Failure
) -> None:
    manual.begin(SERVED).fail(error, Response(usage=Usage(output=1)))
    span = recorded.span()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    assert attribute(span, "error.type") == "ValueError"
    assert attribute(span, "gen_ai.usage.output_tokens") == 1
    assert "secret" not in str([event.log_record for event in recorded.events()])


def test_a_cancelled_operation_is_no_error(manual: ManualOperations, recorded: Recorded) -> None:
    manual.begin(SERVED._replace(choice_count=2)).cancel(Response(usage=Usage(output=1)))
    span = recorded.span()
    assert span.status.status_code is StatusCode.UNSET
    assert attribute(span, "gen_ai.response.finish_reasons") == ("abort", "abort")
    assert attribute(span, "gen_ai.usage.output_tokens") == 1


def test_a_cancelled_agent_has_no_finish_reason(manual: ManualOperations, recorded: Recorded) -> None:
    manual.begin(Request(operation="invoke_agent", provider="toy", side=Side.INTERNAL)).cancel()
    assert "gen_ai.response.finish_reasons" not in (recorded.span().attributes or {})


def test_an_operation_ends_once(manual: ManualOperations, recorded: Recorded) -> None:
    call = manual.begin(SERVED)
    call.finish(Response(id="first"))
    call.finish(Response(id="second"))
    call.fail(ValueError())
    call.chunk()
    call.first_token()
    call.phase("queue", 0.0, 1.0)
    assert attribute(recorded.span(), "gen_ai.response.id") == "first"


def test_the_span_is_current_in_its_block_and_nowhere_else(manual: ManualOperations, recorded: Recorded) -> None:
    before = otel_context.get_current()
    call = manual.begin(SERVED)
    assert otel_context.get_current() is before
    with pytest.raises(ZeroDivisionError), call.current():
        inside = trace.get_current_span().get_span_context()
        raise ZeroDivisionError
    assert otel_context.get_current() is before
    recorded.spans(0)
    call.finish()
    assert recorded.span().context == inside


def test_a_block_that_is_closed_in_another_context_logs_nothing(
    manual: ManualOperations, caplog: pytest.LogCaptureFixture
) -> None:
    call = manual.begin(SERVED)

    def generator() -> Generator[None, None, None]:
        with call.current():
            yield

    opened = generator()
    contextvars.copy_context().run(next, opened)
    contextvars.copy_context().run(opened.close)
    call.finish()
    assert caplog.records == []


# ── parents ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_operation_is_a_child_of_the_current_span(manual: ManualOperations, recorded: Recorded) -> None:
    with recorded.tracer_provider.get_tracer("app").start_as_current_span("app") as parent:
        call = manual.begin(SERVED)
    call.finish()
    assert recorded.spans(2)[1].parent == parent.get_span_context()


def test_an_operation_is_a_child_of_its_callers_headers(manual: ManualOperations, recorded: Recorded) -> None:
    manual.begin(SERVED, headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}).finish()
    parent = recorded.span().parent
    assert parent is not None
    assert (parent.trace_id, parent.span_id) == (int("a" * 32, 16), int("b" * 16, 16))


def test_the_first_operation_of_an_inbound_request_stands_for_it(
    manual: ManualOperations, operations: list[Operation], recorded: Recorded
) -> None:
    inbound = InboundRequest("embeddings", propagate.extract({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}))
    with call_context.current(with_inbound_request(inbound)):
        first, second = manual.begin(SERVED), manual.begin(SERVED)
    first.finish()
    second.finish()
    assert [operation.request.operation for operation in operations] == ["embeddings", "embeddings"]
    assert operations[0].timing.started == inbound.started < operations[1].timing.started
    assert inbound.is_claimed
    parents = [span.parent.span_id for span in recorded.spans(2) if span.parent is not None]
    assert parents == [int("b" * 16, 16)] * 2


def test_an_operation_on_another_side_does_not_stand_for_an_inbound_request(manual: ManualOperations) -> None:
    inbound = InboundRequest("chat", otel_context.Context())
    with call_context.current(with_inbound_request(inbound)):
        manual.begin(SERVED._replace(side=Side.CLIENT)).finish()
    assert not inbound.is_claimed


# ── engines ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Words(RequestState):
    """A state whose events are words; a full stop ends it."""

    def __init__(self, content: bool) -> None:
        self._words: list[str] = []

    def add(self, chunk: str) -> bool:
        self._words.append(chunk)
        return True

    def is_over(self) -> bool:
        return self._words[-1] == "."

    def response(self) -> Response:
        return Response(usage=Usage(output=len(self._words) - 1))

    def failure(self, content: bool) -> Failure | None:
        return None

    def timing(self, measured: Timing) -> Timing:
        return measured


def test_an_operation_with_a_state_ends_when_the_state_says_so(manual: ManualOperations, recorded: Recorded) -> None:
    call = manual.begin(SERVED, state=Words)
    call.notify("one")
    call.notify("two")
    recorded.spans(0)
    call.notify(".")
    assert not call.is_open
    assert attribute(recorded.span(), "gen_ai.usage.output_tokens") == 2


def test_the_load_of_an_engine_is_metrics_until_the_operations_are_closed(
    manual: ManualOperations, recorded: Recorded
) -> None:
    engine = Words(content=False)
    manual.engine_stats(engine, EngineStats(provider="toy", model="m", running=3))
    (point,) = recorded.metrics()["otel_genai.engine.requests.running"]
    assert point.value == 3
    manual.close()
    assert not manual.begin(SERVED).is_open


# ── no report, and no harm ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_suppressed_operation_is_not_reported(manual: ManualOperations, recorded: Recorded) -> None:
    inbound = InboundRequest("chat", otel_context.Context())
    with call_context.current(with_inbound_request(inbound)), suppress_instrumentation():
        call = manual.begin(SERVED)
    assert not call.is_open
    assert not inbound.is_claimed
    with call.current():
        assert not trace.get_current_span().get_span_context().is_valid
    call.notify("one")
    call.chunk()
    call.finish()
    assert recorded.spans(0) == []


def test_content_is_open_only_if_it_is_captured(recorded: Recorded) -> None:
    prompt = Prompt(messages=(Message(role="user", parts=(Text("hi"),)),))
    built: list[bool] = []

    def build() -> Prompt:
        built.append(True)
        return prompt

    for config in (Config(), Config(content_on_spans=True)):
        manual = ManualOperations("toy", config, **recorded.providers)
        call = manual.begin(SERVED, prompt=build)
        assert call.wants_content is config.content_on_spans
        call.finish(Response(messages=(ANSWER,)))
    without, with_content = recorded.spans(2)
    assert built == [True]
    assert "gen_ai.output.messages" not in (without.attributes or {})
    assert "hello" in attribute(with_content, "gen_ai.output.messages")


def test_content_that_is_not_captured_reaches_no_observer(
    manual: ManualOperations, operations: list[Operation]
) -> None:
    manual.begin(SERVED).finish(Response(messages=(ANSWER,)))
    assert operations[0].response.messages == ()


def broken(*_: Any) -> Any:
    raise RuntimeError("a bug of the caller's")


@pytest.mark.usefixtures("_lenient")
def test_nothing_raises(recorded: Recorded) -> None:
    manual = ManualOperations("toy", Config(content_on_spans=True), **recorded.providers)
    manual.begin(SERVED, state=broken, prompt=broken).finish()
    call = manual.begin(SERVED)
    call.chunk(at="now")  # type: ignore[arg-type]
    call.cancel("answer")  # type: ignore[arg-type]
    assert len(recorded.spans(2)) == 2
    assert not manual.begin("chat").is_open  # type: ignore[arg-type]
