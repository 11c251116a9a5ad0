"""The public API as type checkers see it. mypy does the checking (`make check`); pytest runs the functions as well.

`assert_type` fails for any other type, `Any` included. An error that a line must have is ignored by its code, and mypy reports an
ignore that is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, assert_type

import pytest
from opentelemetry.trace import INVALID_SPAN, Span

import otel_genai
from otel_genai import (
    EngineStats,
    Failure,
    Message,
    Observer,
    Operation,
    Phase,
    Prompt,
    Request,
    Response,
    Side,
    Text,
    Timing,
    Tool,
    Usage,
)
from otel_genai.telemetry import observers

if TYPE_CHECKING:
    from tests.support.providers import Recorded


def test_instrument_and_uninstrument_return_nothing(recorded: Recorded) -> None:
    assert_type(otel_genai.instrument(**recorded.providers), None)
    assert_type(otel_genai.uninstrument(), None)


def test_observe_takes_an_observer_and_returns_the_end_of_it() -> None:
    seen: list[Operation] = []

    def observer(operation: Operation, span: Span) -> None:
        assert_type(span, Span)
        seen.append(operation)

    typed: Observer = observer
    stop = otel_genai.observe(typed)
    assert_type(stop, Callable[[], None])
    observers.notify(OPERATION, INVALID_SPAN)
    assert_type(stop(), None)
    assert seen == [OPERATION]


def test_an_observer_of_other_things_is_an_error() -> None:
    stop = otel_genai.observe(lambda operation: None)  # type: ignore[arg-type, misc]
    stop()


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError):
        _ = otel_genai.Opration  # type: ignore[attr-defined]


OPERATION = Operation(
    request=Request(operation="chat", provider="openai", model="gpt-5-mini", side=Side.CLIENT, stop_sequences=("END",)),
    timing=Timing(
        began_ns=1_700_000_000_000_000_000,
        started=1.0,
        ended=3.0,
        chunks=[1.5, 2.0],
        waits=[0.0, 0.0],
        phases=(Phase("queue", 1.0, 1.25),),
        first_token=1.5,
    ),
    response=Response(
        model="gpt-5-mini-2026",
        finish_reasons=("stop",),
        usage=Usage(input=3, output=2, input_by_modality={"text": 3}),
        messages=(Message("assistant", (Text("Good day."),)),),
    ),
    prompt=Prompt(messages=(Message("user", (Text("Hello"),)),), tools=(Tool("weather"),)),
    failure=Failure(type="TimeoutError", summary="TimeoutError"),
)


def test_the_fields_of_an_operation() -> None:
    assert_type(OPERATION.request, Request)
    assert_type(OPERATION.response, Response)
    assert_type(OPERATION.timing, Timing)
    assert_type(OPERATION.prompt, Prompt | None)
    assert_type(OPERATION.failure, Failure | None)
    assert_type(OPERATION.unfinished, bool)
    assert OPERATION.unfinished is False


def test_the_fields_of_a_request() -> None:
    request = OPERATION.request
    assert_type(request.operation, str)
    assert_type(request.provider, str)
    assert_type(request.model, str | None)
    assert_type(request.side, Side)
    assert_type(request.temperature, float | None)
    assert_type(request.stop_sequences, tuple[str, ...] | None)
    assert request.kind == "chat"


def test_the_fields_of_a_response() -> None:
    response = OPERATION.response
    assert_type(response.usage, Usage | None)
    assert_type(response.finish_reasons, tuple[str, ...])
    assert_type(response.messages, tuple[Message, ...])
    assert response.usage is not None
    assert_type(response.usage.input, int | None)
    assert_type(response.usage.input_by_modality, Mapping[str, int] | None)
    assert response.usage.output == 2


def test_the_fields_of_a_timing() -> None:
    timing = OPERATION.timing
    assert_type(timing.began_ns, int)
    assert_type(timing.chunks, Sequence[float])
    assert_type(timing.phases, tuple[Phase, ...])
    assert_type(timing.time_to_first_token, float | None)
    assert_type(timing.duration, float)
    assert timing.duration == 2.0


def test_the_parts_of_a_message_are_told_apart_by_their_class() -> None:
    def texts(message: Message) -> Iterator[str]:
        for part in message.parts:
            assert_type(part, otel_genai.Part)
            if isinstance(part, otel_genai.Text | otel_genai.Reasoning):
                yield assert_type(part.content, str)

    assert [*texts(OPERATION.response.messages[0])] == ["Good day."]


def test_the_fields_of_engine_statistics() -> None:
    stats = EngineStats(provider="vllm", model="tiny", running=1)
    assert_type(stats.running, int | None)
    assert_type(stats.kv_cache_utilization, float | None)
    assert_type(stats.preemptions, int)
    assert stats.waiting is None


def test_a_record_with_an_unknown_field_is_an_error() -> None:
    with pytest.raises(TypeError):
        Usage(prompt_tokens=3)  # type: ignore[call-arg]


def test_an_operation_by_hand(recorded: Recorded) -> None:
    operations = otel_genai.ManualOperations("app", **recorded.providers)
    call = operations.begin(OPERATION.request)
    assert_type(call, otel_genai.ManualCall)
    assert_type(call.is_open, bool)
    call.finish(OPERATION.response)
    operations.close()
    assert recorded.span().name == "chat gpt-5-mini"
