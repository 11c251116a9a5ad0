"""Continuous batching: one span a request, with the manager's own times."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from otel_genai.instrumentors.transformers import decoding
from otel_genai.telemetry.observers import observe
from tests.support.openai.clients import attributes
from tests.support.openai.expected_content import content, said
from tests.support.providers import Recorded, attribute
from tests.support.transformer_models import HELLO, HELLO_TOKENS, SEA, SEA_TOKENS, encoded, make, tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.operation import Operation

pytestmark = pytest.mark.skipif(
    not hasattr(transformers, "ContinuousBatchingConfig"), reason="earlier versions deliver outputs in another way"
)

BASIC = {
    "gen_ai.operation.name": "text_completion",
    "gen_ai.provider.name": "huggingface",
    "gen_ai.request.model": "tiny/llama",
    "gen_ai.request.max_tokens": 4,
    "gen_ai.response.finish_reasons": ("length",),
    "gen_ai.usage.output_tokens": 4,
}


@pytest.fixture(scope="module")
def model() -> Any:
    """A model of this module alone: batching needs another attention implementation."""
    made = make("llama")
    made.set_attn_implementation("paged|eager")
    return made


def settings(**generation: Any) -> dict[str, Any]:
    return {
        "generation_config": transformers.GenerationConfig(
            max_new_tokens=4, eos_token_id=tokenizer().eos_token_id, **generation
        ),
        "continuous_batching_config": transformers.ContinuousBatchingConfig(num_blocks=16, max_batch_tokens=64),
    }


def ids(text: str) -> list[int]:
    prompt: list[int] = encoded(text)["input_ids"][0].tolist()
    return prompt


@contextmanager
def managing(model: Any, **generation: Any) -> Iterator[Any]:
    with model.continuous_batching_context_manager(**settings(**generation), timeout=10) as manager:
        yield manager


@contextmanager
def observed() -> Iterator[list[Operation]]:
    operations: list[Operation] = []
    stop = observe(lambda operation, _: operations.append(operation))
    yield operations
    stop()


def without_times(span: Any) -> dict[str, Any]:
    return {name: value for name, value in attributes(span).items() if not name.startswith("otel_genai.")}


def outputs_of(manager: Any, request_id: str) -> list[Any]:
    return list(manager.request_id_iter(request_id))


def test_each_request_of_a_batch_is_a_child_of_the_callers_span(model: Any, instrumented: Recorded) -> None:
    with trace.use_span(instrumented.tracer_provider.get_tracer("app").start_span("app"), end_on_exit=True):
        results = model.generate_batch([ids(HELLO), ids(SEA)], **settings())
    assert [len(result.generated_tokens) for result in results.values()] == [4, 4]
    *requests, app = instrumented.spans(3)
    assert all((span.parent, span.kind) == (app.context, SpanKind.INTERNAL) for span in requests)
    reported = sorted((without_times(span) for span in requests), key=lambda each: each["gen_ai.usage.input_tokens"])
    assert reported == [BASIC | {"gen_ai.usage.input_tokens": tokens} for tokens in sorted((HELLO_TOKENS, SEA_TOKENS))]


def test_times_are_the_managers_own(model: Any, instrumented: Recorded) -> None:
    with observed() as operations:
        (result,) = model.generate_batch([ids(HELLO)], **settings()).values()
    ((timing),) = [operation.timing for operation in operations]
    assert result.created_time == pytest.approx(timing.started, abs=0.01)
    assert timing.ended == result.lifespan[1]
    queue, generate = timing.phases
    assert queue == ("queue", timing.started, result.lifespan[0])
    assert generate == ("generate", result.lifespan[0], result.lifespan[1])
    assert (timing.first_token, list(timing.chunks)) == (None, [])
    span = instrumented.span()
    assert span.end_time is not None
    assert span.start_time is not None
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(timing.duration, abs=1e-6)


def test_times_of_tokens_are_those_that_the_manager_records(model: Any, instrumented: Recorded) -> None:
    with observed() as operations:
        (result,) = model.generate_batch([ids(HELLO)], **settings(), record_timestamps=True).values()
    ((timing),) = [operation.timing for operation in operations]
    assert list(timing.chunks) == result.timestamps
    assert list(timing.tokens) == [1, 1, 1, 1]
    assert timing.first_token == result.timestamps[0]
    assert [phase.name for phase in timing.phases] == ["queue", "prefill", "decode"]
    assert timing.phases[1].ended == timing.phases[2].started == result.timestamps[0]
    assert "gen_ai.server.time_to_first_token" in instrumented.metrics()


def test_a_request_that_streams_has_the_time_of_each_output(model: Any, instrumented: Recorded) -> None:
    with observed() as operations, managing(model) as manager:
        request_id = manager.add_request(ids(HELLO), streaming=True)
        outputs = outputs_of(manager, request_id)
    assert [len(output.generated_tokens) for output in outputs] == [1, 2, 3, 4]
    ((timing),) = [operation.timing for operation in operations]
    assert list(timing.tokens) == [1, 1, 1, 1]
    assert timing.started < timing.chunks[0] == timing.first_token
    assert list(timing.chunks) == sorted(timing.chunks)
    assert attribute(instrumented.span(), "gen_ai.request.stream") is True


def test_several_sequences_are_one_request(model: Any, instrumented: Recorded) -> None:
    results = model.generate_batch([ids(HELLO)], **settings(num_return_sequences=3, do_sample=True, top_p=0.5))
    assert len(results) == 3
    reported = attributes(instrumented.span())
    assert reported["gen_ai.usage.input_tokens"] == HELLO_TOKENS
    assert reported["gen_ai.usage.output_tokens"] == sum(len(each.generated_tokens) for each in results.values())
    assert len(reported["gen_ai.response.finish_reasons"]) == 3
    assert (reported["gen_ai.request.choice.count"], reported["gen_ai.request.top_p"]) == (3, 0.5)


def test_an_end_token_stops_a_sequence(model: Any, instrumented: Recorded) -> None:
    first = make("llama").generate(torch.tensor([ids(HELLO)]), max_new_tokens=1, do_sample=False)[0, -1].item()
    instrumented.spans(1)
    with managing(model) as manager:
        outputs_of(manager, manager.add_request(ids(HELLO), eos_token_id=first))
    *_, request = instrumented.spans(2)
    assert attribute(request, "gen_ai.response.finish_reasons") == ("stop",)
    assert attribute(request, "gen_ai.usage.output_tokens") == 1


def test_a_cancelled_request_is_no_error(model: Any, instrumented: Recorded) -> None:
    with managing(model) as manager:
        request_id = manager.add_request(ids(HELLO), streaming=True, max_new_tokens=400)
        next(manager.request_id_iter(request_id))
        manager.cancel_request(request_id)
        span = instrumented.span()
    assert span.status.is_unset
    assert attribute(span, "gen_ai.response.finish_reasons") == ("error",)
    assert 1 <= attribute(span, "gen_ai.usage.output_tokens") < 400


def test_a_failed_request_is_an_error_without_its_message(
    model: Any, instrumented: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    with managing(model) as manager:

        def broken(*_: Any, **__: Any) -> None:
            raise RuntimeError("it broke over the prompt")

        monkeypatch.setattr(manager.batch_processor, "_generation_step", broken)
        manager.add_request(ids(HELLO))
        span = instrumented.span()
    assert attribute(span, "error.type") == "_OTHER"
    assert span.status.description == "the request failed"
    assert attribute(span, "gen_ai.response.finish_reasons") == ("error",)
    assert "prompt" not in str(attributes(span).values())


def test_a_request_that_a_manager_refuses_is_not_reported(model: Any, instrumented: Recorded) -> None:
    with managing(model) as manager:
        outputs_of(manager, manager.add_request(ids(HELLO)))
    assert manager.add_request(ids(HELLO)) is None
    instrumented.span()


def test_equal_request_ids_of_two_managers_are_distinct(instrumented: Recorded) -> None:
    def batched(name: str) -> Any:
        made = make("llama")
        made.set_attn_implementation("paged|eager")
        made.config._name_or_path = name
        return made

    with managing(batched("one")) as first, managing(batched("two")) as second:
        request_ids = [manager.add_request(ids(HELLO)) for manager in (first, second)]
        assert request_ids == ["req_0", "req_0"]
        for manager in (second, first):
            outputs_of(manager, "req_0")
    assert {attribute(span, "gen_ai.request.model") for span in instrumented.spans(2)} == {"one", "two"}


async def test_outputs_may_be_delivered_to_a_handler_in_an_event_loop(model: Any, instrumented: Recorded) -> None:
    with managing(model) as manager:
        delivered: asyncio.Queue[Any] = asyncio.Queue()
        manager.register_result_handler("mine", delivered.put_nowait)
        manager.add_request(ids(HELLO), request_id="mine")
        output = await asyncio.wait_for(delivered.get(), 30)
    assert len(output.generated_tokens) == 4
    assert attribute(instrumented.span(), "gen_ai.usage.output_tokens") == 4


def test_content_is_decoded_where_a_tokenizer_is_known(model: Any, capturing: Recorded) -> None:
    decoding.remember_pair(model, tokenizer())
    (result,) = model.generate_batch([ids(HELLO)], **settings()).values()
    span = capturing.span()
    assert content(span, "input.messages") == [said("user", tokenizer().decode(ids(HELLO)))]
    assert content(span, "output.messages") == [
        said("assistant", tokenizer().decode(result.generated_tokens), finish_reason="length")
    ]
