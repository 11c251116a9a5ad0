"""Requests to a real vLLM in this process: parameters, ends, phases and content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace

from tests.support.openai.clients import attributes
from tests.support.openai.expected_content import content, said
from tests.support.providers import attribute
from tests.support.vllm.in_process import MODEL, PHASES, PROMPT, make_llm, phases, sampling

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_genai.operation import Operation
    from tests.support.providers import Recorded

# vLLM and torch warn at import.
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

LONG = "What is the weather like where you are, and will it rain tomorrow? " * 8


def generate(llm: Any, *prompts: str, **settings: Any) -> Any:
    return llm.generate(list(prompts), sampling(**settings), use_tqdm=False)


def requests(recorded: Recorded, count: int, *, others: int = 1) -> list[ReadableSpan]:
    """The spans of inferences, once `count` of them and `others` of batches and applications have ended."""
    spans = [span for span in recorded.spans(count + others) if not span.name.startswith(("batch", "app"))]
    assert len(spans) == count
    return spans


def without_times(span: ReadableSpan) -> dict[str, Any]:
    """The attributes that are the same in every run."""
    return {
        name: value
        for name, value in attributes(span).items()
        if not name.startswith("otel_genai.")
        and name not in {"gen_ai.response.id", "gen_ai.response.time_to_first_chunk"}
    }


@pytest.fixture(params=["llm", "silent_llm"])
def either_llm(request: pytest.FixtureRequest) -> Any:
    """An `LLM` with statistics, and one without."""
    return request.getfixturevalue(request.param)


def test_each_prompt_of_a_batch_is_a_child_request(either_llm: Any, instrumented: Recorded) -> None:
    generate(either_llm, PROMPT, "The sea")
    *spans, batch = instrumented.spans(3)
    assert (batch.name, batch.kind) == ("batch tiny", trace.SpanKind.INTERNAL)
    assert [span.parent for span in spans] == [batch.context, batch.context]
    assert without_times(spans[0]) == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.response.model": MODEL,
        "gen_ai.response.finish_reasons": ("length",),
        "gen_ai.usage.input_tokens": 4,
        "gen_ai.usage.output_tokens": 5,
    }
    assert spans[0].name == "text_completion tiny"
    assert spans[0].kind is trace.SpanKind.INTERNAL


def test_the_batch_is_a_child_of_its_callers_span(llm: Any, instrumented: Recorded) -> None:
    with instrumented.tracer_provider.get_tracer("app").start_as_current_span("app"):
        generate(llm, PROMPT)
    request, batch, app = instrumented.spans(3)
    assert batch.parent == app.context
    assert request.parent == batch.context


def test_a_conversation_is_a_chat(llm: Any, instrumented: Recorded) -> None:
    llm.chat([{"role": "user", "content": "Hello"}], sampling(), use_tqdm=False)
    (span,) = requests(instrumented, 1)
    assert span.name == "chat tiny"
    assert attributes(span)["gen_ai.operation.name"] == "chat"


def test_phases_come_from_the_engines_statistics(llm: Any, instrumented: Recorded) -> None:
    (output,) = generate(llm, PROMPT)
    (span,) = requests(instrumented, 1)
    metrics = output.metrics
    assert {name: phases(span)[name] for name in PHASES} == pytest.approx(
        {
            "queue": metrics.scheduled_ts - metrics.queued_ts,
            "prefill": metrics.first_token_ts - metrics.scheduled_ts,
            "decode": metrics.last_token_ts - metrics.first_token_ts,
        },
        abs=1e-6,
    )
    assert attribute(span, "otel_genai.response.time_to_first_token") == pytest.approx(
        metrics.first_token_latency, abs=0.01
    )


def test_without_statistics_decode_is_timed_by_the_steps(silent_llm: Any, instrumented: Recorded) -> None:
    generate(silent_llm, PROMPT)
    (span,) = requests(instrumented, 1)
    assert phases(span).keys() - {"preprocess"} == {"decode"}
    assert attribute(span, "otel_genai.response.time_to_first_token") > 0


def test_every_token_has_its_time(either_llm: Any, instrumented: Recorded, operations: list[Operation]) -> None:
    generate(either_llm, PROMPT)
    timing = operations[0].timing
    assert list(timing.tokens) == [1] * 5
    assert len(timing.chunks) == 5
    assert timing.started < timing.chunks[0] == timing.first_token
    assert timing.chunks[-1] == timing.ended


def test_several_sequences_are_one_request(
    either_llm: Any, instrumented: Recorded, operations: list[Operation]
) -> None:
    generate(either_llm, PROMPT, n=3, temperature=1.0, seed=7)
    (span,) = requests(instrumented, 1)
    reported = attributes(span)
    assert reported["gen_ai.request.choice.count"] == 3
    assert reported["gen_ai.request.seed"] == 7
    assert reported["gen_ai.response.finish_reasons"] == ("length", "length", "length")
    assert reported["gen_ai.usage.input_tokens"] == 4
    assert reported["gen_ai.usage.output_tokens"] == 15
    assert sum(operations[0].timing.tokens) == 15
    assert list(operations[0].timing.chunks) == sorted(set(operations[0].timing.chunks))


def test_sampling_parameters_are_on_the_span(llm: Any, instrumented: Recorded) -> None:
    generate(llm, PROMPT, temperature=0.5, top_p=0.9, top_k=7, frequency_penalty=0.25, presence_penalty=0.5, seed=3)
    (span,) = requests(instrumented, 1)
    reported = attributes(span)
    assert {
        name.removeprefix("gen_ai.request."): reported[name] for name in reported if name.startswith("gen_ai.request.")
    } == {
        "model": MODEL,
        "max_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 7,
        "frequency_penalty": 0.25,
        "presence_penalty": 0.5,
        "seed": 3,
    }


def test_a_stop_string_ends_a_request(either_llm: Any, instrumented: Recorded) -> None:
    (whole,) = generate(either_llm, PROMPT, max_tokens=12)
    stop = whole.outputs[0].text[4:6]
    (output,) = generate(either_llm, PROMPT, max_tokens=12, stop=[stop])
    span = requests(instrumented, 2, others=2)[-1]
    reported = attributes(span)
    assert reported["gen_ai.response.finish_reasons"] == ("stop",)
    assert reported["gen_ai.request.stop_sequences"] == (stop,)
    assert reported["gen_ai.usage.output_tokens"] == len(output.outputs[0].token_ids)


def test_cached_prompt_tokens_are_reported(either_llm: Any, instrumented: Recorded) -> None:
    either_llm.reset_prefix_cache()
    generate(either_llm, LONG)
    (output,) = generate(either_llm, LONG)
    cold, warm = requests(instrumented, 2, others=2)
    assert "gen_ai.usage.cache_read.input_tokens" not in attributes(cold)
    assert attributes(warm)["gen_ai.usage.cache_read.input_tokens"] == output.num_cached_tokens > 0
    assert attributes(warm)["gen_ai.usage.input_tokens"] == len(output.prompt_token_ids)


def test_a_beam_search_is_one_inference(llm: Any, instrumented: Recorded) -> None:
    from vllm.sampling_params import BeamSearchParams

    (output,) = llm.beam_search([{"prompt": PROMPT}], BeamSearchParams(beam_width=2, max_tokens=3))
    reported = attributes(instrumented.span())
    assert reported["gen_ai.request.choice.count"] == 2
    assert reported["gen_ai.usage.input_tokens"] == 4
    assert reported["gen_ai.usage.output_tokens"] == 6
    assert reported["gen_ai.response.finish_reasons"] == ("length", "length")
    assert len(output.sequences) == 2


def test_a_refused_prompt_fails_the_batch(llm: Any, instrumented: Recorded) -> None:
    from vllm.exceptions import VLLMValidationError

    with pytest.raises(VLLMValidationError):
        generate(llm, PROMPT * 200)
    assert attributes(instrumented.span())["error.type"] == "vllm.exceptions.VLLMValidationError"


def test_content_is_off_by_default(llm: Any, instrumented: Recorded) -> None:
    (output,) = generate(llm, "Zanzibar", stop=["Timbuktu"])
    for span in instrumented.spans(2):
        kept = str(attributes(span)) + str([dict(event.attributes or {}) for event in span.events])
        assert "Zanzibar" not in kept
        assert repr(output.outputs[0].text)[1:-1] not in kept


def test_prompt_and_output_are_captured_on_request(either_llm: Any, capturing: Recorded) -> None:
    (output,) = generate(either_llm, PROMPT, n=2, temperature=1.0, seed=1)
    (span,) = requests(capturing, 1)
    assert content(span, "input.messages") == [said("user", PROMPT)]
    assert content(span, "output.messages") == [
        said("assistant", answer.text, finish_reason="length") for answer in output.outputs
    ]


def test_a_conversation_is_captured_as_the_model_reads_it(llm: Any, capturing: Recorded) -> None:
    llm.chat([{"role": "user", "content": "Hello"}], sampling(), use_tqdm=False)
    (span,) = requests(capturing, 1)
    assert content(span, "input.messages") == [
        said("user", "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n")
    ]


@pytest.fixture(scope="session")
def embedder(tiny_model: Path) -> Any:
    """The tiny model, as an embedding model."""
    return make_llm(tiny_model, runner="pooling", convert="embed")


def test_an_embedding_is_an_operation_without_output(embedder: Any, instrumented: Recorded) -> None:
    (output,) = embedder.embed([PROMPT], use_tqdm=False)
    request, batch = instrumented.spans(2)
    assert (request.name, batch.name) == ("embeddings tiny", "batch tiny")
    assert attributes(request)["gen_ai.usage.input_tokens"] == len(output.prompt_token_ids) == 4
    assert "gen_ai.usage.output_tokens" not in attributes(request)
    assert "gen_ai.response.finish_reasons" not in attributes(request)


def test_requests_may_be_added_to_the_engine_itself(llm: Any, instrumented: Recorded) -> None:
    engine = llm.llm_engine
    engine.add_request("mine", PROMPT, sampling(stop=["never"]))
    instrumented.spans(0)
    while engine.has_unfinished_requests():
        engine.step()
    reported = attributes(instrumented.span())
    assert reported["gen_ai.response.id"] == "mine"
    assert reported["gen_ai.request.stream"] is True
    assert reported["gen_ai.request.stop_sequences"] == ("never",)


def test_an_aborted_request_is_no_error(llm: Any, instrumented: Recorded) -> None:
    engine = llm.llm_engine
    engine.add_request("unwanted", PROMPT, sampling(max_tokens=50, n=2, temperature=1.0, ignore_eos=True))
    for _ in range(3):
        engine.step()
    engine.abort_request(["unwanted"])
    while engine.has_unfinished_requests():
        engine.step()
    span = instrumented.span()
    assert span.status.is_unset
    assert attributes(span)["gen_ai.response.finish_reasons"] == ("abort", "abort")
    assert 0 < attributes(span)["gen_ai.usage.output_tokens"] < 100


def test_an_exception_of_a_step_fails_all_requests(
    llm: Any, instrumented: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = llm.llm_engine

    def fail() -> None:
        raise RuntimeError("no memory for Zanzibar")

    engine.add_request("a", PROMPT, sampling())
    engine.add_request("b", PROMPT, sampling())
    monkeypatch.setattr(engine.engine_core, "get_output", fail)
    with pytest.raises(RuntimeError, match="no memory"):
        engine.step()
    for span in instrumented.spans(2):
        assert attributes(span)["error.type"] == "RuntimeError"
        assert span.status.description == "RuntimeError"
    monkeypatch.undo()
    while engine.has_unfinished_requests():
        engine.step()
    instrumented.spans(2)


def test_a_request_that_the_engine_refuses_is_an_error(llm: Any, instrumented: Recorded) -> None:
    with pytest.raises(TypeError):
        llm.llm_engine.add_request(5, PROMPT, sampling())
    span = instrumented.span()
    assert attributes(span)["error.type"] == "TypeError"
    assert not span.status.is_unset
