"""The span of a request to vLLM: its parameters, its sequences, its times. A stub stands for the engine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace

from otel_genai.operation import Phase
from tests.support.openai.expected_content import content, said
from tests.support.providers import attribute
from tests.support.vllm.engines import DELTA, llm_engine, without_times
from tests.support.vllm.stub import EngineCoreOutput, EngineCoreRequest, FinishReason, OutputKind, SamplingParams

if TYPE_CHECKING:
    from otel_genai.operation import Operation, Request
    from tests.support.providers import Recorded


def test_a_request_is_a_span_from_its_submission_to_its_last_token(instrumented: Recorded) -> None:
    engine = llm_engine()
    with instrumented.tracer_provider.get_tracer("app").start_as_current_span("app"):
        engine.add_request("r1", "three short words", SamplingParams(max_tokens=7, temperature=0, stop="end", seed=3))
    instrumented.spans(1)
    engine.process(EngineCoreOutput("r1", [5]))
    engine.process(EngineCoreOutput("r1", [6, 7], FinishReason.STOP))
    app, request = instrumented.spans(2)
    assert (request.name, request.kind) == ("text_completion org/model", trace.SpanKind.INTERNAL)
    assert request.parent == app.context
    assert isinstance(attribute(request, "gen_ai.request.temperature"), float)
    assert without_times(request) == {
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


def test_the_parameters_of_a_request_are_read_once(instrumented: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[SamplingParams] = []

    def with_sampling(request: Request, params: SamplingParams) -> Request:
        read.append(params)
        return request

    monkeypatch.setattr("otel_genai.instrumentors.vllm.request.with_sampling", with_sampling)
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA)
    engine.process(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    instrumented.span()
    assert read == [DELTA]


def test_parameters_without_effect_are_not_reported(instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", SamplingParams(top_p=1.0, top_k=-1, stop=[], output_kind=OutputKind.FINAL_ONLY))
    engine.process(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    asked = {name for name in without_times(instrumented.span()) if name.startswith("gen_ai.request.")}
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
def test_the_model_has_its_first_served_name(model: str, served: Any, name: str, instrumented: Recorded) -> None:
    engine = llm_engine(model=model, served=served)
    engine.add_request("r1", "words", DELTA)
    engine.process(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    assert attribute(instrumented.span(), "gen_ai.request.model") == name


def test_a_lora_adapter_is_the_requested_model(instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA, None, SimpleNamespace(lora_name="adapter"))
    engine.process(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    assert attribute(instrumented.span(), "gen_ai.request.model") == "adapter"


@pytest.mark.parametrize("name", ["structured_outputs", "guided_decoding"])
@pytest.mark.parametrize(
    ("structure", "output_type"),
    [({"json": {"type": "object"}}, "json"), ({"json": None, "json_object": True}, "json"), ({"regex": "a+"}, None)],
)
def test_structured_output_sets_the_output_type(
    name: str, structure: dict[str, Any], output_type: str | None, instrumented: Recorded
) -> None:
    params = SamplingParams()
    setattr(params, name, SimpleNamespace(**structure))
    engine = llm_engine()
    engine.add_request("r1", "words", params)
    engine.process(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    assert without_times(instrumented.span()).get("gen_ai.output.type") == output_type


def test_a_ready_made_request_brings_its_own_parameters(capturing: Recorded) -> None:
    engine = llm_engine()
    ready = EngineCoreRequest("r1", SamplingParams(n=2, max_tokens=3), [7, 8], 0.0, "r1")
    engine.add_request("r1", ready, SamplingParams(), prompt_text="as it was")
    engine.process(EngineCoreOutput("0_r1", [5], FinishReason.LENGTH))
    capturing.spans(0)
    engine.process(EngineCoreOutput("1_r1", [5], FinishReason.LENGTH))
    span = capturing.span()
    assert attribute(span, "gen_ai.request.max_tokens") == 3
    assert attribute(span, "gen_ai.request.choice.count") == 2
    assert content(span, "input.messages") == [said("user", "as it was")]


@pytest.mark.parametrize(
    ("request_id", "known"),
    [("cmpl-12ab-0", "cmpl-12ab"), ("resp_12ab_1", "resp_12ab"), ("chatcmpl-12ab", "chatcmpl-12ab"), ("7", "7")],
)
def test_the_response_id_is_the_one_that_the_client_knows(request_id: str, known: str, instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request(request_id, "words", DELTA)
    engine.process(EngineCoreOutput(request_id, [5], FinishReason.LENGTH))
    assert attribute(instrumented.span(), "gen_ai.response.id") == known


def test_several_sequences_are_one_request_until_the_last_has_ended(
    instrumented: Recorded, operations: list[Operation]
) -> None:
    engine = llm_engine()
    engine.add_request("r1", "two words", SamplingParams(n=3))
    engine.process(*(EngineCoreOutput(f"{index}_r1", [1]) for index in range(3)))
    engine.process(EngineCoreOutput("0_r1", [2], FinishReason.STOP), EngineCoreOutput("2_r1", [2], FinishReason.LENGTH))
    instrumented.spans(0)
    engine.process(EngineCoreOutput("1_r1", [2, 3], FinishReason.STOP))
    span = instrumented.span()
    assert attribute(span, "gen_ai.response.finish_reasons") == ("stop", "stop", "length")
    assert attribute(span, "gen_ai.usage.output_tokens") == 7
    assert attribute(span, "gen_ai.usage.input_tokens") == 2
    assert list(operations[0].timing.tokens) == [3, 2, 2]
    assert len(operations[0].timing.chunks) == 3


def test_times_are_those_of_the_steps(instrumented: Recorded, operations: list[Operation]) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA)
    engine.process(EngineCoreOutput("other", [9]))
    engine.process(EngineCoreOutput("r1", []))
    engine.process(EngineCoreOutput("r1", [5]))
    engine.process(EngineCoreOutput("r1", [6], FinishReason.LENGTH))
    timing = operations[0].timing
    assert list(timing.tokens) == [1, 1]
    assert timing.started < timing.chunks[0] < timing.chunks[1] == timing.ended
    assert list(timing.asked) == [timing.started, timing.chunks[0]]
    assert timing.first_token == timing.chunks[0]


def test_the_time_between_two_tokens_is_no_metric(instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA)
    engine.process(EngineCoreOutput("r1", [5]))
    engine.process(EngineCoreOutput("r1", [6], FinishReason.LENGTH))
    assert set(instrumented.metrics()) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
        "gen_ai.server.request.duration",
        "gen_ai.server.time_per_output_token",
        "gen_ai.server.time_to_first_token",
        "otel_genai.engine.decode.duration",
    }


def test_phases_come_from_the_engines_statistics(instrumented: Recorded, operations: list[Operation]) -> None:
    engine = llm_engine(log_stats=True)
    engine.add_request("r1", "words", DELTA)
    statistics = engine.output_processor.request_states["r1"].stats
    statistics.queued_ts, statistics.scheduled_ts = 1000.0, 1000.25
    engine.process(EngineCoreOutput("r1", [5]), at=1001.0)
    engine.process(EngineCoreOutput("r1", [6], FinishReason.LENGTH), at=1001.5)
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


def test_without_statistics_decode_is_timed_by_the_steps(instrumented: Recorded, operations: list[Operation]) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA)
    engine.process(EngineCoreOutput("r1", [5]))
    engine.process(EngineCoreOutput("r1", [6], FinishReason.LENGTH))
    timing = operations[0].timing
    assert timing.phases[1:] == (Phase("decode", timing.chunks[0], timing.chunks[1]),)


def test_an_arrival_time_before_the_call_gives_no_preprocess_phase(
    instrumented: Recorded, operations: list[Operation]
) -> None:
    engine = llm_engine()
    engine.add_request("r1", "words", DELTA, 1.0)
    engine.process(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    assert [phase.name for phase in operations[0].timing.phases] == ["decode"]


def test_a_sequence_without_tokens_adds_nothing_to_the_phases(
    instrumented: Recorded, operations: list[Operation]
) -> None:
    engine = llm_engine(log_stats=True)
    engine.add_request("r1", "words", SamplingParams(n=2), 1.0)
    engine.output_processor.request_states["0_r1"].stats.scheduled_ts = 1000.0
    engine.process(EngineCoreOutput("0_r1", [5], FinishReason.LENGTH), at=1001.0)
    engine.output_processor.abort_requests(["r1"])
    phases = operations[0].timing.phases
    assert {phase.name: pytest.approx(phase.ended - phase.started) for phase in phases} == {"prefill": 1.0, "decode": 0}


def test_cached_prompt_tokens_are_reported(instrumented: Recorded) -> None:
    engine = llm_engine()
    engine.add_request("r1", "three short words", DELTA)
    engine.output_processor.request_states["r1"].num_cached_tokens = 2
    engine.process(EngineCoreOutput("r1", [5], FinishReason.LENGTH))
    assert attribute(instrumented.span(), "gen_ai.usage.cache_read.input_tokens") == 2
