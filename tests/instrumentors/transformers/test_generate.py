"""`generate` of real models: its result is unchanged, and its span has what the call did."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from opentelemetry.trace import SpanKind, StatusCode
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer
from transformers.generation.utils import GenerationMixin

import otel_genai
from otel_genai.instrumentors.transformers.model_name import model_name
from tests.support.openai.clients import attributes
from tests.support.providers import attribute
from tests.support.transformer_models import (
    BASIC,
    DECODERS,
    ENCODER_DECODER,
    HELLO,
    HELLO_TOKENS,
    LIMITED,
    SEA,
    SEA_TOKENS,
    encoded,
    inputs,
    make,
    model,
    output,
    tokenizer,
)

if TYPE_CHECKING:
    from tests.support.providers import Recorded


class Silent(BaseStreamer):  # type: ignore[misc]
    """A streamer that does nothing."""

    def put(self, value: Any) -> None:
        pass

    def end(self) -> None:
        pass


# ── whole calls ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("architecture", DECODERS)
def test_a_call_is_a_span(architecture: str, instrumented: Recorded) -> None:
    expected = output(architecture=architecture)
    given = inputs()
    ids = model(architecture).generate(**given)
    assert type(ids) is torch.Tensor
    assert ids.tolist() == [given["input_ids"][0].tolist() + expected[0]]
    span = instrumented.span()
    assert (span.name, span.kind) == (f"text_completion tiny/{architecture}", SpanKind.INTERNAL)
    assert span.status.status_code is StatusCode.UNSET
    assert attributes(span) == LIMITED | {"gen_ai.request.model": f"tiny/{architecture}"}
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "otel_genai.instrumentors.transformers"


def test_an_encoder_decoder_returns_its_output_without_the_prompt(instrumented: Recorded) -> None:
    ids = model(ENCODER_DECODER).generate(**inputs(HELLO, SEA))
    assert ids.shape == (2, 1 + 4)
    assert attributes(instrumented.span()) == LIMITED | {
        "gen_ai.request.model": "tiny/t5",
        "gen_ai.response.finish_reasons": ("length", "length"),
        "gen_ai.usage.input_tokens": HELLO_TOKENS + SEA_TOKENS,
        "gen_ai.usage.output_tokens": 4 + 4,
    }


@pytest.mark.parametrize("beginning", [[0, 5, 6], [5, 6]], ids=["with its start", "without"])
def test_decoder_input_ids_are_no_output(beginning: list[int], instrumented: Recorded) -> None:
    ids = model(ENCODER_DECODER).generate(**inputs(decoder_input_ids=torch.tensor([beginning])))
    assert ids.shape == (1, 3 + 4)
    assert attribute(instrumented.span(), "gen_ai.usage.output_tokens") == 4


def test_a_result_with_more_than_ids_is_read_too(instrumented: Recorded) -> None:
    result = model("llama").generate(**inputs(return_dict_in_generate=True, output_scores=True))
    assert type(result).__name__ == "GenerateDecoderOnlyOutput"
    assert len(result.scores) == 4
    assert attributes(instrumented.span()) == LIMITED


def test_a_prompt_of_embeddings_is_counted(instrumented: Recorded) -> None:
    embeddings = model("llama").get_input_embeddings()(encoded(HELLO)["input_ids"])
    ids = model("llama").generate(inputs_embeds=embeddings, max_new_tokens=4)
    assert ids.shape == (1, 4)
    assert attributes(instrumented.span()) == LIMITED


@pytest.mark.parametrize("result", ["text", torch.rand(1, 8), [[1, 2]], (torch.ones(1, 1, 3, dtype=torch.long),)])
def test_a_result_without_ids_has_no_usage(result: Any, instrumented: Recorded) -> None:
    class Speaking(type(model("llama"))):  # type: ignore[misc]
        def _sample(self, *_: Any, **__: Any) -> Any:
            return result

    speaking = make("llama")
    speaking.__class__ = Speaking
    assert speaking.generate(**inputs()) is result
    assert attributes(instrumented.span()) == BASIC | {"gen_ai.request.max_tokens": 4}


def test_without_a_prompt_the_begin_token_is_the_input(instrumented: Recorded) -> None:
    assert model("llama").generate(max_new_tokens=4).shape == (1, 1 + 4)
    assert attributes(instrumented.span()) == LIMITED | {"gen_ai.usage.input_tokens": 1}


def test_ids_may_be_passed_by_position(instrumented: Recorded) -> None:
    model("llama").generate(encoded(HELLO)["input_ids"], GenerationConfig(max_new_tokens=4, eos_token_id=2))
    assert attributes(instrumented.span()) == LIMITED


# ── the request ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_parameters_of_sampling_are_those_in_effect(instrumented: Recorded) -> None:
    configuration = GenerationConfig(max_new_tokens=4, do_sample=True, temperature=0.5, top_k=7, top_p=0.75)
    model("llama").generate(**encoded(HELLO), generation_config=configuration, temperature=0.25)
    reported = attributes(instrumented.span())
    assert {name: reported.get(f"gen_ai.request.{name}") for name in ("temperature", "top_k", "top_p")} == {
        "temperature": 0.25,
        "top_k": 7,
        "top_p": 0.75,
    }


def test_sampling_defaults_of_the_library_are_reported(instrumented: Recorded) -> None:
    model("llama").generate(**inputs(do_sample=True))
    reported = attributes(instrumented.span())
    assert {name: reported.get(f"gen_ai.request.{name}") for name in ("temperature", "top_k", "top_p")} == {
        "temperature": 1.0,
        "top_k": 50,
        "top_p": 1.0,
    }


@pytest.mark.filterwarnings("ignore:`do_sample` is set to `False`")  # 4.x complains of what this is about
def test_greedy_decoding_has_no_temperature(instrumented: Recorded) -> None:
    warm = make("llama")
    warm.generation_config.update(temperature=0.5, top_p=0.75, top_k=7)
    warm.generate(**inputs(do_sample=False))
    assert attributes(instrumented.span()) == LIMITED


@pytest.mark.filterwarnings("ignore:Using the model-agnostic default")
@pytest.mark.parametrize(
    ("settings", "reported"),
    [({"max_length": HELLO_TOKENS + 3}, 3), ({"max_new_tokens": 2, "max_length": 100}, 2), ({}, None)],
    ids=["of the whole", "of the output", "by default"],
)
def test_the_limit_is_that_of_the_output(
    settings: dict[str, int], reported: int | None, instrumented: Recorded
) -> None:
    model("llama").generate(**encoded(HELLO), **settings)
    assert attributes(instrumented.span()).get("gen_ai.request.max_tokens") == reported
    assert attribute(instrumented.span(), "gen_ai.response.finish_reasons") == ("length",)


def test_a_limit_in_the_models_configuration_counts(instrumented: Recorded) -> None:
    short = make("llama")
    short.generation_config.max_new_tokens = 4
    short.generate(**encoded(HELLO))
    assert attributes(instrumented.span()) == LIMITED


@pytest.mark.parametrize(
    ("loaded_by", "name"),
    [
        ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
        ("gpt2", "gpt2"),
        ("/home/jo/models/llama-3", "llama-3"),
        ("/home/jo/models/llama-3/", "llama-3"),
        ("./llama-3", "llama-3"),
        ("runs/7/llama-3", "llama-3"),
        ("C:\\Users\\jo\\llama-3", "llama-3"),
        ("/home/jo/.cache/huggingface/hub/models--Qwen--Qwen3-0.6B/snapshots/0a1b2c", "Qwen/Qwen3-0.6B"),
        ("", None),
        (None, None),
    ],
)
def test_a_model_in_a_folder_has_its_last_name_without_its_path(loaded_by: str | None, name: str | None) -> None:
    assert model_name(SimpleNamespace(config=SimpleNamespace(_name_or_path=loaded_by))) == name


def test_a_model_without_a_name(instrumented: Recorded) -> None:
    nameless = make("llama")
    nameless.config._name_or_path = ""
    nameless.generate(**inputs())
    span = instrumented.span()
    assert span.name == "text_completion"
    assert "gen_ai.request.model" not in (span.attributes or {})


def test_the_setting_provider_does_not_rename_a_model_in_this_process(recorded: Recorded) -> None:
    otel_genai.instrument(**recorded.providers, provider="vllm")
    model("llama").generate(**inputs())
    otel_genai.uninstrument()
    assert attributes(recorded.span()) == LIMITED


# ── several sequences ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("masked", "tokens"), [(True, HELLO_TOKENS + SEA_TOKENS), (False, 2 * HELLO_TOKENS)])
def test_padding_of_prompts_is_no_input_with_a_mask(masked: bool, tokens: int, instrumented: Recorded) -> None:
    given = inputs(HELLO, SEA)
    if not masked:
        del given["attention_mask"]
    model("llama").generate(**given)
    assert attributes(instrumented.span()) == LIMITED | {
        "gen_ai.response.finish_reasons": ("length", "length"),
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": 8,
    }


def test_padding_after_the_end_is_no_output(instrumented: Recorded) -> None:
    end = output(HELLO, SEA)[0][0]
    model("llama").generate(**inputs(HELLO, SEA, eos_token_id=[2, end]))
    span = instrumented.span()
    assert attribute(span, "gen_ai.response.finish_reasons") == ("stop", "length")
    assert attribute(span, "gen_ai.usage.output_tokens") == 1 + 4


def test_padding_tokens_are_output_if_nothing_ended_the_sequence(instrumented: Recorded) -> None:
    last = output(HELLO, SEA)[0][-1]
    model("llama").generate(**inputs(HELLO, SEA, pad_token_id=last))
    assert attribute(instrumented.span(), "gen_ai.usage.output_tokens") == 8


def test_several_sequences_for_one_prompt(instrumented: Recorded) -> None:
    model("llama").generate(**inputs(do_sample=True, num_return_sequences=3))
    reported = attributes(instrumented.span())
    assert reported["gen_ai.request.choice.count"] == 3
    assert reported["gen_ai.response.finish_reasons"] == ("length", "length", "length")
    assert (reported["gen_ai.usage.input_tokens"], reported["gen_ai.usage.output_tokens"]) == (HELLO_TOKENS, 12)


@pytest.mark.parametrize("architecture", ["llama", ENCODER_DECODER])
def test_returned_beams_are_counted(architecture: str, instrumented: Recorded) -> None:
    model(architecture).generate(**inputs(num_beams=3, num_return_sequences=2))
    reported = attributes(instrumented.span())
    assert reported["gen_ai.response.finish_reasons"] == ("length", "length")
    assert (reported["gen_ai.usage.input_tokens"], reported["gen_ai.usage.output_tokens"]) == (HELLO_TOKENS, 8)


@pytest.mark.parametrize("assistance", ["a model", "the prompt"])
def test_assisted_generation_is_one_operation(assistance: str, instrumented: Recorded) -> None:
    helping: dict[str, Any] = (
        {"assistant_model": make("llama")} if assistance == "a model" else {"prompt_lookup_num_tokens": 2}
    )
    model("llama").generate(**inputs(max_new_tokens=8, **helping))
    assert attributes(instrumented.span()) == LIMITED | {
        "gen_ai.request.max_tokens": 8,
        "gen_ai.usage.output_tokens": 8,
    }


# ── how sequences end ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_that_ends_the_sequence_is_counted(instrumented: Recorded) -> None:
    end = output()[0][2]
    model("llama").generate(**inputs(eos_token_id=end))
    assert attributes(instrumented.span()) == LIMITED | {
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.output_tokens": 3,
    }


def test_a_stop_string_ends_a_sequence(instrumented: Recorded) -> None:
    stop = tokenizer().decode(output()[0][2])
    ids = model("llama").generate(**inputs(stop_strings=stop, tokenizer=tokenizer()))
    assert attributes(instrumented.span()) == LIMITED | {
        "gen_ai.request.stop_sequences": (stop,),
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.output_tokens": ids.shape[1] - HELLO_TOKENS,
    }
    assert ids.shape[1] < HELLO_TOKENS + 4


class AfterTwo(StoppingCriteria):  # type: ignore[misc]
    """Ends the first sequence after two tokens."""

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        done = torch.zeros(input_ids.shape[0], dtype=torch.bool)
        done[0] = input_ids.shape[1] >= HELLO_TOKENS + 2
        return done


def test_stopping_criteria_of_the_application_end_a_sequence(instrumented: Recorded) -> None:
    model("llama").generate(**inputs(HELLO, SEA, stopping_criteria=StoppingCriteriaList([AfterTwo()])))
    span = instrumented.span()
    assert attribute(span, "gen_ai.response.finish_reasons") == ("stop", "length")
    assert attribute(span, "gen_ai.usage.output_tokens") == 2 + 4


# ── nesting ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_override_that_calls_super_is_one_operation(instrumented: Recorded) -> None:
    class Overriding(type(model("llama"))):  # type: ignore[misc]
        def generate(self, *args: Any, **kwargs: Any) -> Any:
            return super().generate(*args, **kwargs)

    overriding = make("llama")
    overriding.__class__ = Overriding
    overriding.generate(**inputs())
    assert attributes(instrumented.span()) == LIMITED


def test_generate_may_be_called_as_a_function(instrumented: Recorded) -> None:
    GenerationMixin.generate(model("llama"), **inputs())
    assert attributes(instrumented.span()) == LIMITED


# ── the documentation ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_lists_exactly_the_reported_attributes(instrumented: Recorded) -> None:
    model("llama").generate(
        **inputs(do_sample=True, num_return_sequences=2, stop_strings="sea", tokenizer=tokenizer(), streamer=Silent())
    )
    with pytest.raises(ValueError, match="num_return_sequences"):
        model("llama").generate(**inputs(num_return_sequences=2))
    page = (Path(__file__).parents[3] / "docs" / "transformers.md").read_text(encoding="utf-8")
    table = page.partition("<!-- attributes of generate -->")[2].partition("<!-- end of them -->")[0]
    named = {name for row in table.splitlines() for name in re.findall(r"`([\w.]+)`", row.split("|")[1] if row else "")}
    assert named == {name for span in instrumented.spans(2) for name in span.attributes or {}}
