"""`generate` of real models: what the application gets, and what is reported."""

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
from tests.support.openai.expected_content import answered, content, said
from tests.support.providers import Recorded, attribute
from tests.support.transformer_models import (
    BASIC,
    DECODERS,
    ENCODER_DECODER,
    HELLO,
    HELLO_TOKENS,
    LIMITED,
    SEA,
    SEA_TOKENS,
    asked,
    encoded,
    make,
    model,
    output,
    tokenizer,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_genai.operation import Operation


class Silent(BaseStreamer):  # type: ignore[misc]
    """A streamer that does nothing."""

    def put(self, value: Any) -> None:
        pass

    def end(self) -> None:
        pass


def failing(error: BaseException | Callable[[], object], *, after: int = 0) -> Any:
    """A model whose computation fails in this way, after some tokens."""
    broken = make("llama")
    calls = iter(range(after))

    def fail(*_: Any) -> None:
        if next(calls, None) is None:
            if isinstance(error, BaseException):
                raise error
            error()

    broken.model.register_forward_pre_hook(fail)
    return broken


# ── whole calls ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("architecture", DECODERS)
def test_a_call(architecture: str, instrumented: Recorded) -> None:
    expected = output(architecture=architecture)
    given = asked()
    ids = model(architecture).generate(**given)
    assert type(ids) is torch.Tensor
    assert ids.tolist() == [given["input_ids"][0].tolist() + expected[0]]
    span = instrumented.span()
    assert (span.name, span.kind) == (f"text_completion tiny/{architecture}", SpanKind.INTERNAL)
    assert span.status.status_code is StatusCode.UNSET
    assert attributes(span) == LIMITED | {"gen_ai.request.model": f"tiny/{architecture}"}
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "otel_genai.instrumentors.transformers"


def test_an_encoder_decoder_answers_apart_from_its_prompt(instrumented: Recorded) -> None:
    ids = model(ENCODER_DECODER).generate(**asked(HELLO, SEA))
    assert ids.shape == (2, 1 + 4)
    assert attributes(instrumented.span()) == LIMITED | {
        "gen_ai.request.model": "tiny/t5",
        "gen_ai.response.finish_reasons": ("length", "length"),
        "gen_ai.usage.input_tokens": HELLO_TOKENS + SEA_TOKENS,
        "gen_ai.usage.output_tokens": 4 + 4,
    }


@pytest.mark.parametrize("beginning", [[0, 5, 6], [5, 6]], ids=["with its start", "without"])
def test_a_decoders_given_beginning_is_no_output(beginning: list[int], instrumented: Recorded) -> None:
    ids = model(ENCODER_DECODER).generate(**asked(decoder_input_ids=torch.tensor([beginning])))
    assert ids.shape == (1, 3 + 4)
    assert attribute(instrumented.span(), "gen_ai.usage.output_tokens") == 4


def test_a_result_with_more_than_ids_is_read_too(instrumented: Recorded) -> None:
    result = model("llama").generate(**asked(return_dict_in_generate=True, output_scores=True))
    assert type(result).__name__ == "GenerateDecoderOnlyOutput"
    assert len(result.scores) == 4
    assert attributes(instrumented.span()) == LIMITED


def test_a_prompt_of_embeddings_has_a_length(instrumented: Recorded) -> None:
    embeddings = model("llama").get_input_embeddings()(encoded(HELLO)["input_ids"])
    ids = model("llama").generate(inputs_embeds=embeddings, max_new_tokens=4)
    assert ids.shape == (1, 4)
    assert attributes(instrumented.span()) == LIMITED


@pytest.mark.parametrize("result", ["text", torch.rand(1, 8), [[1, 2]], (torch.ones(1, 1, 3, dtype=torch.long),)])
def test_a_result_that_is_no_ids_is_nothing_to_count(result: Any, instrumented: Recorded) -> None:
    class Speaking(type(model("llama"))):  # type: ignore[misc]
        def _sample(self, *_: Any, **__: Any) -> Any:
            return result

    speaking = make("llama")
    speaking.__class__ = Speaking
    assert speaking.generate(**asked()) is result
    assert attributes(instrumented.span()) == BASIC | {"gen_ai.request.max_tokens": 4}


def test_without_a_prompt_there_is_the_token_that_begins_all(instrumented: Recorded) -> None:
    assert model("llama").generate(max_new_tokens=4).shape == (1, 1 + 4)
    assert attributes(instrumented.span()) == LIMITED | {"gen_ai.usage.input_tokens": 1}


def test_ids_may_be_given_by_position(instrumented: Recorded) -> None:
    model("llama").generate(encoded(HELLO)["input_ids"], GenerationConfig(max_new_tokens=4, eos_token_id=2))
    assert attributes(instrumented.span()) == LIMITED


# ── what is asked for ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_parameters_of_sampling_are_those_in_effect(instrumented: Recorded) -> None:
    configuration = GenerationConfig(max_new_tokens=4, do_sample=True, temperature=0.5, top_k=7, top_p=0.75)
    model("llama").generate(**encoded(HELLO), generation_config=configuration, temperature=0.25)
    reported = attributes(instrumented.span())
    assert {name: reported.get(f"gen_ai.request.{name}") for name in ("temperature", "top_k", "top_p")} == {
        "temperature": 0.25,
        "top_k": 7,
        "top_p": 0.75,
    }


def test_sampling_as_the_library_does_it_by_itself(instrumented: Recorded) -> None:
    model("llama").generate(**asked(do_sample=True))
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
    warm.generate(**asked(do_sample=False))
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
def test_a_folder_is_called_by_its_last_name_and_nothing_is_told_of_where_it_is(
    loaded_by: str | None, name: str | None
) -> None:
    assert model_name(SimpleNamespace(config=SimpleNamespace(_name_or_path=loaded_by))) == name


def test_a_model_without_a_name(instrumented: Recorded) -> None:
    nameless = make("llama")
    nameless.config._name_or_path = ""
    nameless.generate(**asked())
    span = instrumented.span()
    assert span.name == "text_completion"
    assert "gen_ai.request.model" not in (span.attributes or {})


def test_a_servers_name_is_not_that_of_a_model_in_this_process(recorded: Recorded) -> None:
    otel_genai.instrument(**recorded.providers, provider="vllm")
    model("llama").generate(**asked())
    otel_genai.uninstrument()
    assert attributes(recorded.span()) == LIMITED


# ── several sequences ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("masked", "tokens"), [(True, HELLO_TOKENS + SEA_TOKENS), (False, 2 * HELLO_TOKENS)])
def test_padding_of_prompts_is_no_input_if_a_mask_tells(masked: bool, tokens: int, instrumented: Recorded) -> None:
    given = asked(HELLO, SEA)
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
    model("llama").generate(**asked(HELLO, SEA, eos_token_id=[2, end]))
    span = instrumented.span()
    assert attribute(span, "gen_ai.response.finish_reasons") == ("stop", "length")
    assert attribute(span, "gen_ai.usage.output_tokens") == 1 + 4


def test_what_looks_like_padding_is_output_if_nothing_ended_the_sequence(instrumented: Recorded) -> None:
    last = output(HELLO, SEA)[0][-1]
    model("llama").generate(**asked(HELLO, SEA, pad_token_id=last))
    assert attribute(instrumented.span(), "gen_ai.usage.output_tokens") == 8


def test_several_sequences_for_one_prompt(instrumented: Recorded) -> None:
    model("llama").generate(**asked(do_sample=True, num_return_sequences=3))
    reported = attributes(instrumented.span())
    assert reported["gen_ai.request.choice.count"] == 3
    assert reported["gen_ai.response.finish_reasons"] == ("length", "length", "length")
    assert (reported["gen_ai.usage.input_tokens"], reported["gen_ai.usage.output_tokens"]) == (HELLO_TOKENS, 12)


@pytest.mark.parametrize("architecture", ["llama", ENCODER_DECODER])
def test_beams_that_are_returned_count(architecture: str, instrumented: Recorded) -> None:
    model(architecture).generate(**asked(num_beams=3, num_return_sequences=2))
    reported = attributes(instrumented.span())
    assert reported["gen_ai.response.finish_reasons"] == ("length", "length")
    assert (reported["gen_ai.usage.input_tokens"], reported["gen_ai.usage.output_tokens"]) == (HELLO_TOKENS, 8)


@pytest.mark.parametrize("assistance", ["a model", "the prompt"])
def test_assisted_generation_is_one_operation(assistance: str, instrumented: Recorded) -> None:
    helping: dict[str, Any] = (
        {"assistant_model": make("llama")} if assistance == "a model" else {"prompt_lookup_num_tokens": 2}
    )
    model("llama").generate(**asked(max_new_tokens=8, **helping))
    assert attributes(instrumented.span()) == LIMITED | {
        "gen_ai.request.max_tokens": 8,
        "gen_ai.usage.output_tokens": 8,
    }


# ── how sequences end ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_that_ends_the_sequence_is_counted(instrumented: Recorded) -> None:
    end = output()[0][2]
    model("llama").generate(**asked(eos_token_id=end))
    assert attributes(instrumented.span()) == LIMITED | {
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.output_tokens": 3,
    }


def test_a_string_that_ends_the_sequence(instrumented: Recorded) -> None:
    stop = tokenizer().decode(output()[0][2])
    ids = model("llama").generate(**asked(stop_strings=stop, tokenizer=tokenizer()))
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


def test_the_applications_own_criteria_end_a_sequence(instrumented: Recorded) -> None:
    model("llama").generate(**asked(HELLO, SEA, stopping_criteria=StoppingCriteriaList([AfterTwo()])))
    span = instrumented.span()
    assert attribute(span, "gen_ai.response.finish_reasons") == ("stop", "length")
    assert attribute(span, "gen_ai.usage.output_tokens") == 2 + 4


# ── times ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_token_has_its_time_though_nobody_reads_along(
    operations: list[Operation], instrumented: Recorded
) -> None:
    model("llama").generate(**asked())
    (operation,) = operations
    timing = operation.timing
    assert (len(timing.asked), len(timing.chunks), timing.tokens) == (4, 4, [1, 1, 1, 1])
    assert timing.first_token == timing.chunks[0]
    moments = [timing.started, *timing.chunks, timing.ended]
    assert moments == sorted(set(moments))
    assert list(timing.asked[1:]) == list(timing.chunks[:-1])
    assert set(instrumented.metrics()) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "gen_ai.server.request.duration",
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_per_output_token",
    }
    assert "gen_ai.response.time_to_first_chunk" not in (instrumented.span().attributes or {})


def test_a_sequence_that_has_ended_brings_no_more_tokens(operations: list[Operation], instrumented: Recorded) -> None:
    end = output(HELLO, SEA)[0][1]
    model("llama").generate(**asked(HELLO, SEA, eos_token_id=end))
    assert [operation.timing.tokens for operation in operations] == [[2, 2, 1, 1]]


def test_steps_of_another_model_are_not_counted(operations: list[Operation], instrumented: Recorded) -> None:
    def ask(*_: Any) -> None:
        model("qwen2").generate(**asked())

    asking = make("llama")
    asking.model.register_forward_pre_hook(ask)
    asking.generate(**asked())
    assert [operation.timing.tokens for operation in operations] == [[1, 1, 1, 1]]
    assert attributes(instrumented.span()) == LIMITED


def test_time_per_token_is_that_of_each_of_the_sequences(operations: list[Operation], instrumented: Recorded) -> None:
    model("llama").generate(**asked(HELLO, SEA))
    (timing,) = [operation.timing for operation in operations]
    (point,) = instrumented.metrics()["gen_ai.server.time_per_output_token"]
    assert point.sum == pytest.approx((timing.ended - timing.chunks[0]) / 3)


@pytest.mark.parametrize("settings", [{"num_beams": 2}, {"prompt_lookup_num_tokens": 2}], ids=["beams", "assistance"])
def test_where_a_step_is_no_token_steps_have_no_times(
    settings: dict[str, Any], operations: list[Operation], instrumented: Recorded
) -> None:
    model("llama").generate(**asked(**settings))
    assert [len(operation.timing.chunks) for operation in operations] == [0]
    assert "gen_ai.server.time_to_first_token" not in instrumented.metrics()


# ── errors ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_error_of_the_library(instrumented: Recorded) -> None:
    with pytest.raises(ValueError, match="num_return_sequences"):
        model("llama").generate(**asked(num_return_sequences=2))
    span = instrumented.span()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    assert attributes(span) == BASIC | {
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.max_tokens": 4,
        "error.type": "ValueError",
    }


def test_memory_that_is_short_on_an_accelerator(instrumented: Recorded) -> None:
    error = torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 8 GiB"
    )
    with pytest.raises(torch.OutOfMemoryError) as raised:
        failing(error, after=2).generate(**asked())
    assert raised.value is error
    span = instrumented.span()
    assert attribute(span, "error.type") == "torch.OutOfMemoryError"
    assert span.status.description == "OutOfMemoryError tried to allocate 20.00 GiB"


def test_memory_that_is_short(instrumented: Recorded) -> None:
    with pytest.raises(RuntimeError):
        failing(lambda: torch.empty(1 << 50)).generate(**asked())
    assert instrumented.span().status.description == "RuntimeError tried to allocate 4503599627370496 bytes"


def test_an_interrupt_goes_through(instrumented: Recorded) -> None:
    with pytest.raises(KeyboardInterrupt):
        failing(KeyboardInterrupt(), after=2).generate(**asked())
    assert attribute(instrumented.span(), "error.type") == "KeyboardInterrupt"


def test_a_model_can_be_called_again_after_an_error(instrumented: Recorded) -> None:
    with pytest.raises(KeyboardInterrupt):
        failing(KeyboardInterrupt()).generate(**asked())
    model("llama").generate(**asked())
    _, succeeded = instrumented.spans(2)
    assert succeeded.parent is None
    assert attributes(succeeded) == LIMITED


# ── nesting ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_override_that_calls_what_it_overrides_is_one_operation(instrumented: Recorded) -> None:
    class Overriding(type(model("llama"))):  # type: ignore[misc]
        def generate(self, *args: Any, **kwargs: Any) -> Any:
            return super().generate(*args, **kwargs)

    overriding = make("llama")
    overriding.__class__ = Overriding
    overriding.generate(**asked())
    assert attributes(instrumented.span()) == LIMITED


def test_the_mixins_function_may_be_called_as_one(instrumented: Recorded) -> None:
    GenerationMixin.generate(model("llama"), **asked())
    assert attributes(instrumented.span()) == LIMITED


# ── content ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_content_is_decoded_with_the_tokenizer_of_the_call(capturing: Recorded) -> None:
    first, second = (tokenizer().decode(ids) for ids in output(HELLO, SEA))
    model("llama").generate(**asked(HELLO, SEA), tokenizer=tokenizer())
    span = capturing.span()
    assert content(span, "input.messages") == [said("user", HELLO), said("user", SEA)]
    assert content(span, "output.messages") == [
        *answered(first, finish_reason="length"),
        *answered(second, finish_reason="length"),
    ]


def test_the_token_that_ends_is_no_text(capturing: Recorded) -> None:
    (ids,) = output()
    model("llama").generate(**asked(eos_token_id=ids[2]), tokenizer=tokenizer())
    text = tokenizer().decode(ids[:2])
    assert content(capturing.span(), "output.messages") == answered(text, finish_reason="stop")


def test_without_a_tokenizer_there_is_no_content(capturing: Recorded) -> None:
    model("llama").generate(**asked())
    assert attributes(capturing.span()) == LIMITED


def test_content_is_off_by_default(instrumented: Recorded) -> None:
    model("llama").generate(**asked(), tokenizer=tokenizer())
    assert attributes(instrumented.span()) == LIMITED


def test_the_words_of_an_error_are_not_in_its_summary(capturing: Recorded) -> None:
    with pytest.raises(ValueError, match="secret"):
        failing(ValueError("a secret")).generate(**asked())
    assert capturing.span().status.description == "ValueError"


# ── the documentation ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_names_what_is_reported_and_nothing_else(instrumented: Recorded) -> None:
    model("llama").generate(
        **asked(do_sample=True, num_return_sequences=2, stop_strings="sea", tokenizer=tokenizer(), streamer=Silent())
    )
    with pytest.raises(ValueError, match="num_return_sequences"):
        model("llama").generate(**asked(num_return_sequences=2))
    page = (Path(__file__).parents[3] / "docs" / "transformers.md").read_text(encoding="utf-8")
    table = page.partition("<!-- attributes of generate -->")[2].partition("<!-- end of them -->")[0]
    named = {name for row in table.splitlines() for name in re.findall(r"`([\w.]+)`", row.split("|")[1] if row else "")}
    assert named == {name for span in instrumented.spans(2) for name in span.attributes or {}}
