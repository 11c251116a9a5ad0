"""Calls that make several requests: the methods of `LLM`, and beam search."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace

from tests.support.openai.expected_content import answered, content
from tests.support.providers import attribute
from tests.support.vllm.engines import async_llm, llm, llm_engine, without_times
from tests.support.vllm.stub import EngineCoreOutput, FinishReason, PoolingParams

if TYPE_CHECKING:
    from tests.support.providers import Recorded


def test_a_batch_is_the_parent_of_its_requests(instrumented: Recorded) -> None:
    assert llm().generate(["one", "two"]) == ["0", "1"]
    first, second, batch = instrumented.spans(3)
    assert (batch.name, batch.kind) == ("batch org/model", trace.SpanKind.INTERNAL)
    assert [first.name, second.name] == ["text_completion org/model"] * 2
    assert [first.parent, second.parent] == [batch.context] * 2


def test_a_chat_is_one_batch_of_chats(instrumented: Recorded) -> None:
    llm().chat([{"role": "user", "content": "hi"}])
    request, _ = instrumented.spans(2)
    assert request.name == "chat org/model"


def test_embeddings_have_no_output_tokens(instrumented: Recorded) -> None:
    llm().embed(["two words"])
    request, _ = instrumented.spans(2)
    assert without_times(request) == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "org/model",
        "gen_ai.response.id": "0",
        "gen_ai.response.model": "org/model",
        "gen_ai.usage.input_tokens": 2,
    }


def test_another_pooling_task_is_the_operation_name(instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", PoolingParams("classify"))
    engine.process(EngineCoreOutput("r1", [], FinishReason.STOP))
    assert instrumented.span().name == "classify org/model"


def test_a_beam_search_is_one_span_without_children(instrumented: Recorded) -> None:
    params = SimpleNamespace(beam_width=1, max_tokens=2, temperature=0.0)
    llm().beam_search(["two words"], params)
    assert without_times(instrumented.span()) == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "org/model",
        "gen_ai.request.max_tokens": 2,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 2,
        "gen_ai.usage.output_tokens": 2,
    }


async def test_a_servers_beam_search_is_one_span_without_children(capturing: Recorded) -> None:
    engine = async_llm()
    server = import_module("vllm.entrypoints.generate.beam_search.online").BeamSearchOnlineMixin(engine)
    params = SimpleNamespace(beam_width=2, max_tokens=2, temperature=0.0)
    (found,) = [found async for found in server.beam_search("two words", "cmpl-a-0", params)]
    assert found.request_id == "cmpl-a-0"
    engine.process(EngineCoreOutput("cmpl-a-0-beam-0", [5], FinishReason.LENGTH))
    span = capturing.span()
    assert content(span, "output.messages") == answered("found", finish_reason="length") * 2
    assert {name: value for name, value in without_times(span).items() if "messages" not in name} == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "org/model",
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.max_tokens": 2,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.response.id": "cmpl-a",
        "gen_ai.response.model": "org/model",
        "gen_ai.response.finish_reasons": ("length", "length"),
        "gen_ai.usage.input_tokens": 2,
        "gen_ai.usage.output_tokens": 4,
    }
    assert "otel_genai.response.time_to_first_token" not in (span.attributes or {})


def test_a_refused_prompt_fails_its_batch(instrumented: Recorded) -> None:
    with pytest.raises(ValueError, match="Zanzibar"):
        llm().generate(["refused"])
    request, batch = instrumented.spans(2)
    assert attribute(request, "error.type") == attribute(batch, "error.type") == "ValueError"
