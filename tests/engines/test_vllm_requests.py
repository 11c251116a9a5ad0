"""Requests to the real vLLM in this process: what was asked, how it ended, and when each part of it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace

from tests.engines.vllm_in_process import MODEL, make_llm
from tests.support.openai.clients import attributes
from tests.support.openai.expected_content import content, said
from tests.support.providers import attribute

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_genai.operation import Operation
    from tests.support.providers import Recorded

# What vLLM and torch warn of at import is theirs. One event loop, since an engine belongs to the one that it was first used in.
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore"), pytest.mark.asyncio(loop_scope="session")]

PROMPT = "The lighthouse keeper counted"
LONG = "What is the weather like where you are, and will it rain tomorrow? " * 8
GREEDY = {"temperature": 0.0, "max_tokens": 5}
PHASES = ("queue", "prefill", "decode")


def params(**given: Any) -> Any:
    from vllm import SamplingParams

    return SamplingParams(**{**GREEDY, **given})


def generate(llm: Any, *prompts: str, **given: Any) -> Any:
    return llm.generate(list(prompts), params(**given), use_tqdm=False)


def requests(recorded: Recorded, count: int, *, others: int = 1) -> list[ReadableSpan]:
    """The spans of inferences, when that many and so many others have ended."""
    spans = [span for span in recorded.spans(count + others) if not span.name.startswith(("batch", "app"))]
    assert len(spans) == count
    return spans


def phases(span: ReadableSpan) -> dict[str, float]:
    prefix = "otel_genai.phase."
    return {name.removeprefix(prefix): value for name, value in attributes(span).items() if name.startswith(prefix)}


def known(span: ReadableSpan) -> dict[str, Any]:
    """The attributes that are the same in every run."""
    return {
        name: value
        for name, value in attributes(span).items()
        if not name.startswith("otel_genai.")
        and name not in {"gen_ai.response.id", "gen_ai.response.time_to_first_chunk"}
    }


@pytest.fixture(params=["llm", "silent_llm"])
def either_llm(request: pytest.FixtureRequest) -> Any:
    """With statistics and without."""
    return request.getfixturevalue(request.param)


def test_each_prompt_of_a_batch_is_a_request_beneath_it(either_llm: Any, instrumented: Recorded) -> None:
    generate(either_llm, PROMPT, "The sea")
    *spans, batch = instrumented.spans(3)
    assert (batch.name, batch.kind) == ("batch tiny", trace.SpanKind.INTERNAL)
    assert [span.parent for span in spans] == [batch.context, batch.context]
    assert known(spans[0]) == {
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
    llm.chat([{"role": "user", "content": "Hello"}], params(), use_tqdm=False)
    (span,) = requests(instrumented, 1)
    assert span.name == "chat tiny"
    assert attributes(span)["gen_ai.operation.name"] == "chat"


def test_the_engine_tells_how_long_a_request_was_in_each_phase(llm: Any, instrumented: Recorded) -> None:
    (output,) = generate(llm, PROMPT)
    (span,) = requests(instrumented, 1)
    told = output.metrics
    assert {name: phases(span)[name] for name in PHASES} == pytest.approx(
        {
            "queue": told.scheduled_ts - told.queued_ts,
            "prefill": told.first_token_ts - told.scheduled_ts,
            "decode": told.last_token_ts - told.first_token_ts,
        },
        abs=1e-6,
    )
    assert attribute(span, "otel_genai.response.time_to_first_token") == pytest.approx(
        told.first_token_latency, abs=0.01
    )


def test_without_statistics_decoding_is_still_timed(silent_llm: Any, instrumented: Recorded) -> None:
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


def test_several_answers_are_one_request(either_llm: Any, instrumented: Recorded, operations: list[Operation]) -> None:
    generate(either_llm, PROMPT, n=3, temperature=1.0, seed=7)
    (span,) = requests(instrumented, 1)
    told = attributes(span)
    assert told["gen_ai.request.choice.count"] == 3
    assert told["gen_ai.request.seed"] == 7
    assert told["gen_ai.response.finish_reasons"] == ("length", "length", "length")
    assert told["gen_ai.usage.input_tokens"] == 4
    assert told["gen_ai.usage.output_tokens"] == 15
    assert sum(operations[0].timing.tokens) == 15
    assert list(operations[0].timing.chunks) == sorted(set(operations[0].timing.chunks))


def test_what_samples_the_answer_is_on_the_span(llm: Any, instrumented: Recorded) -> None:
    generate(llm, PROMPT, temperature=0.5, top_p=0.9, top_k=7, frequency_penalty=0.25, presence_penalty=0.5, seed=3)
    (span,) = requests(instrumented, 1)
    told = attributes(span)
    assert {
        name.removeprefix("gen_ai.request."): told[name] for name in told if name.startswith("gen_ai.request.")
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
    told = attributes(span)
    assert told["gen_ai.response.finish_reasons"] == ("stop",)
    assert told["gen_ai.request.stop_sequences"] == (stop,)
    assert told["gen_ai.usage.output_tokens"] == len(output.outputs[0].token_ids)


def test_what_the_prefix_cache_held_is_told(either_llm: Any, instrumented: Recorded) -> None:
    either_llm.reset_prefix_cache()
    generate(either_llm, LONG)
    (output,) = generate(either_llm, LONG)
    cold, warm = requests(instrumented, 2, others=2)
    assert "gen_ai.usage.cache_read.input_tokens" not in attributes(cold)
    assert attributes(warm)["gen_ai.usage.cache_read.input_tokens"] == output.num_cached_tokens > 0
    assert attributes(warm)["gen_ai.usage.input_tokens"] == len(output.prompt_token_ids)


def test_a_beam_search_is_one_inference(llm: Any, instrumented: Recorded) -> None:
    from vllm.sampling_params import BeamSearchParams

    (found,) = llm.beam_search([{"prompt": PROMPT}], BeamSearchParams(beam_width=2, max_tokens=3))
    told = attributes(instrumented.span())
    assert told["gen_ai.request.choice.count"] == 2
    assert told["gen_ai.usage.input_tokens"] == 4
    assert told["gen_ai.usage.output_tokens"] == 6
    assert told["gen_ai.response.finish_reasons"] == ("length", "length")
    assert len(found.sequences) == 2


def test_a_prompt_that_is_refused_fails_the_batch(llm: Any, instrumented: Recorded) -> None:
    from vllm.exceptions import VLLMValidationError

    with pytest.raises(VLLMValidationError):
        generate(llm, PROMPT * 200)
    assert attributes(instrumented.span())["error.type"] == "vllm.exceptions.VLLMValidationError"


def test_without_content_nothing_of_prompt_and_answer_is_kept(llm: Any, instrumented: Recorded) -> None:
    (output,) = generate(llm, "Zanzibar", stop=["Timbuktu"])
    for span in instrumented.spans(2):
        kept = str(attributes(span)) + str([dict(event.attributes or {}) for event in span.events])
        assert "Zanzibar" not in kept
        assert repr(output.outputs[0].text)[1:-1] not in kept


def test_with_content_prompt_and_answers_are_on_the_span(either_llm: Any, capturing: Recorded) -> None:
    (output,) = generate(either_llm, PROMPT, n=2, temperature=1.0, seed=1)
    (span,) = requests(capturing, 1)
    assert content(span, "input.messages") == [said("user", PROMPT)]
    assert content(span, "output.messages") == [
        said("assistant", answer.text, finish_reason="length") for answer in output.outputs
    ]


def test_a_conversation_is_captured_as_the_model_sees_it(llm: Any, capturing: Recorded) -> None:
    llm.chat([{"role": "user", "content": "Hello"}], params(), use_tqdm=False)
    (span,) = requests(capturing, 1)
    assert content(span, "input.messages") == [
        said("user", "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n")
    ]


@pytest.fixture(scope="session")
def embedder(tiny_model: Path) -> Any:
    """The tiny model as one that embeds."""
    return make_llm(tiny_model, runner="pooling", convert="embed")


def test_embeddings_have_an_operation_of_their_own(embedder: Any, instrumented: Recorded) -> None:
    (output,) = embedder.embed([PROMPT], use_tqdm=False)
    request, batch = instrumented.spans(2)
    assert (request.name, batch.name) == ("embeddings tiny", "batch tiny")
    assert attributes(request)["gen_ai.usage.input_tokens"] == len(output.prompt_token_ids) == 4
    assert "gen_ai.usage.output_tokens" not in attributes(request)
    assert "gen_ai.response.finish_reasons" not in attributes(request)


def test_requests_can_be_put_to_the_engine_itself(llm: Any, instrumented: Recorded) -> None:
    engine = llm.llm_engine
    engine.add_request("mine", PROMPT, params(stop=["never"]))
    instrumented.spans(0)
    while engine.has_unfinished_requests():
        engine.step()
    told = attributes(instrumented.span())
    assert told["gen_ai.response.id"] == "mine"
    assert told["gen_ai.request.stream"] is True
    assert told["gen_ai.request.stop_sequences"] == ("never",)


def test_a_request_that_is_aborted_is_no_error(llm: Any, instrumented: Recorded) -> None:
    engine = llm.llm_engine
    engine.add_request("unwanted", PROMPT, params(max_tokens=50, n=2, temperature=1.0, ignore_eos=True))
    for _ in range(3):
        engine.step()
    engine.abort_request(["unwanted"])
    while engine.has_unfinished_requests():
        engine.step()
    span = instrumented.span()
    assert span.status.is_unset
    assert attributes(span)["gen_ai.response.finish_reasons"] == ("abort", "abort")
    assert 0 < attributes(span)["gen_ai.usage.output_tokens"] < 100


def test_an_error_of_a_step_is_every_requests(
    llm: Any, instrumented: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = llm.llm_engine

    def fail() -> None:
        raise RuntimeError("no memory for Zanzibar")

    engine.add_request("a", PROMPT, params())
    engine.add_request("b", PROMPT, params())
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


def test_what_the_engine_refuses_is_an_error_of_the_request(llm: Any, instrumented: Recorded) -> None:
    with pytest.raises(TypeError):
        llm.llm_engine.add_request(5, PROMPT, params())
    span = instrumented.span()
    assert attributes(span)["error.type"] == "TypeError"
    assert not span.status.is_unset


# ── asynchronously ─────────────────────────────────────────────────────────────────────────────────────────────────────


def streamed(**given: Any) -> Any:
    from vllm.sampling_params import RequestOutputKind

    return params(output_kind=RequestOutputKind.DELTA, **given)


async def consume(engine: Any, request_id: str, prompt: str = PROMPT, **given: Any) -> list[Any]:
    return [output async for output in engine.generate(prompt, streamed(**given), request_id)]


async def test_a_stream_is_a_request_of_whoever_asked(async_llm: Any, instrumented: Recorded) -> None:
    with instrumented.tracer_provider.get_tracer("app").start_as_current_span("app") as current:
        outputs = await consume(async_llm, "cmpl-a-0")
        assert trace.get_current_span() is current
    request, app = instrumented.spans(2)
    assert request.parent == app.context
    told = attributes(request)
    assert told["gen_ai.response.id"] == "cmpl-a"
    assert told["gen_ai.request.stream"] is True
    assert told["gen_ai.usage.output_tokens"] == sum(len(output.outputs[0].token_ids) for output in outputs) == 5
    assert phases(request).keys() - {"preprocess"} == set(PHASES)


async def test_the_loop_body_does_not_run_within_the_request(async_llm: Any, instrumented: Recorded) -> None:
    async for _ in async_llm.generate(PROMPT, streamed(), "outside"):
        assert not trace.get_current_span().get_span_context().is_valid
    instrumented.span()


async def test_fifty_streams_at_once_are_told_apart(async_llm: Any, instrumented: Recorded) -> None:
    await asyncio.gather(
        *(
            consume(
                async_llm, f"r{number}", max_tokens=number % 7 + 2, n=number % 2 + 1, temperature=1.0, ignore_eos=True
            )
            for number in range(50)
        )
    )
    told = [attributes(span) for span in instrumented.spans(50)]
    assert {(one["gen_ai.response.id"], one["gen_ai.usage.output_tokens"]) for one in told} == {
        (f"r{number}", (number % 7 + 2) * (number % 2 + 1)) for number in range(50)
    }


async def test_a_stream_that_is_left_early_was_aborted(async_llm: Any, instrumented: Recorded) -> None:
    stream = async_llm.generate(PROMPT, streamed(max_tokens=100), "left")
    await anext(stream)
    await stream.aclose()
    span = instrumented.span()
    assert span.status.is_unset
    assert attributes(span)["gen_ai.response.finish_reasons"] == ("abort",)


async def test_a_stream_whose_task_is_cancelled_was_aborted(async_llm: Any, instrumented: Recorded) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in async_llm.generate(PROMPT, streamed(max_tokens=400), "cancelled"):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    span = instrumented.span()
    assert span.status.is_unset
    assert attributes(span)["gen_ai.response.finish_reasons"] == ("abort",)


async def test_the_callers_headers_are_the_parent_where_nothing_else_is(async_llm: Any, instrumented: Recorded) -> None:
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    headers = {"traceparent": f"00-{trace_id}-{span_id}-01"}
    async for _ in async_llm.generate(PROMPT, streamed(), "served", trace_headers=headers):
        pass
    span = instrumented.span()
    assert span.kind is trace.SpanKind.SERVER
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == trace_id
    assert f"{span.parent.span_id:016x}" == span_id


async def test_what_the_asynchronous_engine_refuses_is_an_error_of_the_request(
    async_llm: Any, instrumented: Recorded
) -> None:
    with pytest.raises(Exception, match=r"max_model_len|maximum context|longer than"):
        await consume(async_llm, "refused", PROMPT * 200)
    span = instrumented.span()
    assert attributes(span)["error.type"] == "vllm.exceptions.VLLMValidationError"


async def test_the_end_of_the_engine_is_the_end_of_its_requests(async_llm: Any, instrumented: Recorded) -> None:
    from vllm.v1.engine.exceptions import EngineDeadError

    # The engine itself lives on: what died is the loop that hands out what it says, and a new one is started with the next request.
    streams = [async_llm.generate(PROMPT, streamed(max_tokens=400), f"last{number}") for number in range(2)]
    await asyncio.gather(*map(anext, streams))
    async_llm.engine_core.error = EngineDeadError()
    for stream in streams:
        with pytest.raises(EngineDeadError):
            async for _ in stream:
                pass
    for span in instrumented.spans(2):
        assert attributes(span)["error.type"] == "vllm.v1.engine.exceptions.EngineDeadError"
        assert not span.status.is_unset
    async_llm.output_handler = None
    async_llm.output_processor.abort_requests([*async_llm.output_processor.request_states], True)
