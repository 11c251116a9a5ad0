"""How requests to vLLM end: abort, failure, refusal, and ends before `add_request` returns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.providers import attribute
from tests.support.vllm.engines import DELTA, HEADERS, async_llm, llm_engine, without_times
from tests.support.vllm.stub import EngineCoreOutput, EngineCoreRequest, FinishReason, SamplingParams

if TYPE_CHECKING:
    from otel_genai.operation import Operation
    from tests.support.providers import Recorded


def test_an_abort_is_no_error(instrumented: Recorded, operations: list[Operation]) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", SamplingParams(n=2))
    engine.process(EngineCoreOutput("0_r1", [5], FinishReason.LENGTH))
    engine.output_processor.abort_requests(["r1"])
    span = instrumented.span()
    assert span.status.is_unset
    assert attribute(span, "gen_ai.response.finish_reasons") == ("length", "abort")
    timing = operations[0].timing
    assert timing.ended > timing.chunks[-1]
    engine.output_processor.abort_requests(["r1"])
    instrumented.spans(1)


def test_a_sequence_that_the_engine_fails_is_an_error(instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA)
    engine.process(EngineCoreOutput("r1", [], FinishReason.ERROR))
    span = instrumented.span()
    assert attribute(span, "error.type") == "_OTHER"
    assert attribute(span, "gen_ai.response.finish_reasons") == ("error",)


def test_an_exception_of_a_step_fails_all_requests_of_that_engine(instrumented: Recorded) -> None:
    engine, other = llm_engine(), llm_engine()
    engine.add_request("r1", "words", SamplingParams(n=2))
    engine.add_request("r2", "words", DELTA)
    other.add_request("r1", "words", DELTA)
    engine.steps = [RuntimeError("out of Zanzibar")]
    with pytest.raises(RuntimeError, match="Zanzibar"):
        engine.step()
    for span in instrumented.spans(2):
        assert attribute(span, "error.type") == "RuntimeError"
        assert "Zanzibar" not in str(span.status.description)
    other.process(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    assert instrumented.spans(3)[-1].status.is_unset


def test_a_dead_engine_fails_all_its_requests(instrumented: Recorded) -> None:
    engine = async_llm()
    asyncio.run(engine.add_request("r1", "words", DELTA))
    engine.output_processor.propagate_error(RuntimeError("dead"))
    assert attribute(instrumented.span(), "error.type") == "RuntimeError"


def test_a_refused_request_is_an_error_without_content(instrumented: Recorded) -> None:
    engine = async_llm()
    with pytest.raises(ValueError, match="Zanzibar"):
        asyncio.run(engine.add_request("r1", "refused", DELTA, trace_headers=HEADERS))
    span = instrumented.span()
    assert attribute(span, "error.type") == "ValueError"
    (event,) = instrumented.events()
    assert "Zanzibar" not in span.to_json() + str(event.log_record.attributes)
    assert "gen_ai.usage.input_tokens" not in without_times(span)


def test_steps_before_add_request_returns_are_counted(instrumented: Recorded) -> None:
    engine = async_llm()
    engine.steps = [[EngineCoreOutput("r1", [1])], [EngineCoreOutput("r1", [2], FinishReason.LENGTH)]]
    asyncio.run(engine.add_request("r1", "words", DELTA))
    span = instrumented.span()
    assert attribute(span, "gen_ai.usage.output_tokens") == 2
    assert span.status.is_unset


def test_an_exception_of_add_request_wins_over_an_earlier_end(instrumented: Recorded) -> None:
    engine = async_llm()
    engine.steps = [[EngineCoreOutput("r1", [2], FinishReason.LENGTH)]]
    with pytest.raises(RuntimeError, match="gone"):
        asyncio.run(engine.add_request("r1", "dies", DELTA))
    assert attribute(instrumented.span(), "error.type") == "RuntimeError"
    engine.process(EngineCoreOutput("r1", [2], FinishReason.LENGTH))
    instrumented.spans(1)


def test_a_session_with_streamed_input_is_one_request(instrumented: Recorded) -> None:
    engine = async_llm()
    asyncio.run(engine.add_request("r1", "some words", DELTA))
    processor = engine.output_processor
    more = EngineCoreRequest("r1", DELTA, [1], 0.0, "r1", resumable=True)
    engine.process(EngineCoreOutput("r1", [1]))
    processor.add_request(more, None)
    engine.process(EngineCoreOutput("r1", [2]))
    instrumented.spans(0)
    more.resumable = False
    processor.add_request(more, None)
    span = instrumented.span()
    assert span.status.is_unset
    assert attribute(span, "gen_ai.usage.output_tokens") == 2
