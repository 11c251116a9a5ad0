"""Content of requests to vLLM: captured on request, and never built without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.openai.expected_content import answered, content, said
from tests.support.vllm.engines import DELTA, llm, llm_engine
from tests.support.vllm.stub import Detokenizer, EngineCoreOutput, FinishReason, SamplingParams, Tokenizer

if TYPE_CHECKING:
    from tests.support.providers import Recorded


def test_prompt_and_output_are_captured_on_request(capturing: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "a prompt", SamplingParams(n=2))
    engine.process(
        EngineCoreOutput("0_r1", [5, 6], FinishReason.STOP), EngineCoreOutput("1_r1", [7], FinishReason.LENGTH)
    )
    span = capturing.span()
    assert content(span, "input.messages") == [said("user", "a prompt")]
    assert content(span, "output.messages") == [
        *answered("5 6", finish_reason="stop"),
        *answered("7", finish_reason="length"),
    ]


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ({"prompt_token_ids": [3, 4]}, "token3 token4"),
        ({"prompt_token_ids": [3, 4], "prompt": "as it was"}, "as it was"),
    ],
)
def test_a_prompt_of_token_ids_is_decoded(prompt: Any, text: str, capturing: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", prompt, DELTA)
    engine.process(EngineCoreOutput("r1", [5], FinishReason.STOP))
    assert content(capturing.span(), "input.messages") == [said("user", text)]


def test_an_embedding_has_no_output_messages(capturing: Recorded) -> None:
    llm().embed(["two words"])
    request, _ = capturing.spans(2)
    assert content(request, "input.messages") == [said("user", "two words")]
    assert content(request, "output.messages") is None


def test_without_content_nothing_is_decoded(instrumented: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> str:
        raise AssertionError("token ids are decoded")

    monkeypatch.setattr(Tokenizer, "decode", refuse)
    monkeypatch.setattr(Detokenizer, "output_text", property(refuse))
    engine = llm_engine()
    engine.add_request("r1", {"prompt_token_ids": [3, 4]}, DELTA)
    engine.process(EngineCoreOutput("r1", [5], FinishReason.STOP))
    assert content(instrumented.span(), "input.messages") is None
