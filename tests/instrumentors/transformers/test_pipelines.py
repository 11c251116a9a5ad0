"""Pipelines: one span a call, with its generations as children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from transformers import LlamaForSequenceClassification, pipeline

from tests.support.openai.clients import attributes
from tests.support.openai.expected_content import CONTENT, content, said
from tests.support.providers import Recorded, attribute
from tests.support.transformer_models import make, model, tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT: list[dict[str, str]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is the weather like?"},
]


@pytest.fixture(scope="module")
def generator() -> Any:
    """A pipeline that generates four tokens, the same in every run."""
    # A model of its own: from now on the instrumentation knows its tokenizer.
    generate = pipeline("text-generation", model=make("llama"), tokenizer=tokenizer(), device="cpu")
    return lambda *inputs, **options: generate(*inputs, **{"max_new_tokens": 4, "do_sample": False, **options})


def names(recorded: Recorded, count: int) -> list[str]:
    return [span.name for span in recorded.spans(count)]


def test_a_text_is_one_generation(generator: Any, instrumented: Recorded) -> None:
    ((answer),) = generator("Tell me something")
    assert answer["generated_text"].startswith("Tell me something")
    generation, run = instrumented.spans(2)
    assert (generation.name, run.name) == ("text_completion tiny/llama", "pipeline tiny/llama")
    assert (run.kind, run.status.status_code) == (SpanKind.INTERNAL, StatusCode.UNSET)
    assert generation.parent == run.context
    assert attribute(generation, "gen_ai.usage.output_tokens") == 4
    assert attributes(run) == {
        "gen_ai.operation.name": "pipeline",
        "gen_ai.provider.name": "huggingface",
        "gen_ai.request.model": "tiny/llama",
        "otel_genai.pipeline.task": "text-generation",
    }


def test_tokens_and_times_are_counted_once(generator: Any, instrumented: Recorded) -> None:
    generator("Tell me something")
    for name in ("gen_ai.client.operation.duration", "gen_ai.client.token.usage"):
        points = instrumented.metrics()[name]
        assert {point.attributes["gen_ai.operation.name"] for point in points} == {"text_completion"}


@pytest.mark.parametrize("chat", [CHAT, tuple(CHAT)], ids=["list", "tuple"])
def test_a_conversation_is_a_chat(chat: Any, generator: Any, instrumented: Recorded) -> None:
    ((answer),) = generator(chat)
    assert [turn["role"] for turn in answer["generated_text"]] == ["system", "user", "assistant"]
    assert names(instrumented, 2) == ["chat tiny/llama", "pipeline tiny/llama"]


def test_several_conversations_are_several_chats(generator: Any, instrumented: Recorded) -> None:
    assert len(generator([CHAT, CHAT])) == 2
    assert names(instrumented, 3) == ["chat tiny/llama", "chat tiny/llama", "pipeline tiny/llama"]


def test_each_batch_is_one_generation(generator: Any, instrumented: Recorded) -> None:
    assert len(generator(["One", "Two", "Three"], batch_size=2)) == 3
    first, second, run = instrumented.spans(3)
    assert [attribute(span, "gen_ai.usage.output_tokens") for span in (first, second)] == [8, 4]
    assert first.parent == second.parent == run.context


def test_generations_after_the_call_are_no_children(generator: Any, instrumented: Recorded) -> None:
    def texts() -> Iterator[str]:
        yield "One"
        yield "Two"

    answers = generator(texts())
    run = instrumented.span()
    assert run.name == "pipeline tiny/llama"
    assert len(list(answers)) == 2
    _, first, second = instrumented.spans(3)
    assert (first.parent, second.parent) == (None, None)


def test_an_error_fails_both_spans(generator: Any, instrumented: Recorded) -> None:
    with pytest.raises(ValueError, match="num_return_sequences"):
        generator("One", num_return_sequences=2)
    generation, run = instrumented.spans(2)
    assert [attribute(span, "error.type") for span in (generation, run)] == ["ValueError", "ValueError"]


def test_a_task_without_generation_has_a_span(instrumented: Recorded) -> None:
    config = model("llama").config.__class__(**{**model("llama").config.to_dict(), "num_labels": 2})
    config._name_or_path = "tiny/judge"
    config.pad_token_id = tokenizer().pad_token_id
    judge = pipeline("text-classification", model=LlamaForSequenceClassification(config), tokenizer=tokenizer())
    ((verdict),) = judge("Fine.")
    assert set(verdict) == {"label", "score"}
    span = instrumented.span()
    assert span.name == "pipeline tiny/judge"
    assert attribute(span, "otel_genai.pipeline.task") == "text-classification"


# ── content ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_content_is_off_by_default(generator: Any, instrumented: Recorded) -> None:
    generator(CHAT)
    assert not any(CONTENT & attributes(span).keys() for span in instrumented.spans(2))


def test_a_conversation_is_captured_as_its_messages(generator: Any, capturing: Recorded) -> None:
    ((answer),) = generator(CHAT)
    generation, run = capturing.spans(2)
    assert content(run, "input.messages") == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "What is the weather like?"}]},
    ]
    output_text = answer["generated_text"][-1]["content"]
    assert output_text in content(generation, "output.messages")[0]["parts"][0]["content"]


def test_texts_are_captured_as_messages_of_a_user(generator: Any, capturing: Recorded) -> None:
    generator(["One", "Two"])
    *_, run = capturing.spans(3)
    assert content(run, "input.messages") == [said("user", "One"), said("user", "Two")]


def test_text_parts_of_a_message_are_captured(capturing: Recorded) -> None:
    from otel_genai.content import Message, Prompt, Text
    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.instrumentors.transformers.pipelines import pipeline_prompt

    parts = [{"type": "image", "url": "https://example.com/a.png"}, {"type": "text", "text": "What is this?"}]
    arguments = Arguments(None, ([{"role": "user", "content": parts}],), {})
    assert pipeline_prompt(arguments) == Prompt(messages=(Message("user", (Text("What is this?"),)),))
