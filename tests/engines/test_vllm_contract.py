"""Names, parameters and fields that the instrumentation needs of the installed vLLM."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from otel_genai.instrumentors.vllm.instrumentor import VllmInstrumentor

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

PARAMETERS = {
    "LLMEngine.add_request": ("request_id", "prompt", "params", "arrival_time", "lora_request"),
    "AsyncLLM.add_request": ("request_id", "prompt", "params", "arrival_time", "lora_request"),
    "OutputProcessor.add_request": ("request",),
    "OutputProcessor.process_outputs": ("engine_core_outputs",),
    "OutputProcessor._update_stats_from_finished": ("req_state", "finish_reason"),
    "OutputProcessor.abort_requests": ("request_ids",),
    "OutputProcessor.propagate_error": ("e",),
    "LLM.beam_search": ("prompts", "params"),
    "BeamSearchOnlineMixin.beam_search": ("prompt", "request_id", "params"),
}
"""First parameters, which the instrumentation reads by position or by name."""
ROWS = [row for row in VllmInstrumentor.rows if not getattr(row, "optional", False)]


def target(row: Any) -> Any:
    found: Any = import_module(row.module)
    for name in row.target.split("."):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{type(row).__name__}-{row.target}")
def test_every_required_target_exists(row: Any) -> None:
    assert callable(target(row))


def test_every_target_that_moves_exists_once_at_least() -> None:
    optional = [row for row in VllmInstrumentor.rows if getattr(row, "optional", False)]
    found = set()
    for row in optional:
        try:
            if find_spec(row.module) is not None and callable(target(row)):
                found.add(row.target.rpartition(".")[2])
        except (ModuleNotFoundError, AttributeError):
            continue  # a target of another version
    assert {"generate", "chat", "encode", "embed", "classify", "score", "beam_search", "build_app"} <= found


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_have_their_positions(name: str) -> None:
    rows = [row for row in VllmInstrumentor.rows if row.target == name]
    assert rows
    parameters = tuple(inspect.signature(target(rows[0])).parameters)[1:]
    assert parameters[: len(PARAMETERS[name])] == PARAMETERS[name]


def test_trace_headers_are_a_keyword() -> None:
    from vllm.v1.engine.async_llm import AsyncLLM

    assert "trace_headers" in inspect.signature(AsyncLLM.add_request).parameters


def test_only_the_asynchronous_add_request_is_a_coroutine() -> None:
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.engine.llm_engine import LLMEngine

    assert inspect.iscoroutinefunction(AsyncLLM.add_request)
    assert not inspect.iscoroutinefunction(LLMEngine.add_request)


def test_requests_outputs_and_parameters_have_the_fields_that_are_read() -> None:
    from vllm import PoolingParams, SamplingParams
    from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest, FinishReason
    from vllm.v1.metrics.stats import RequestStateStats

    assert {"request_id", "arrival_time"} <= set(EngineCoreRequest.__struct_fields__)
    assert {"request_id", "new_token_ids"} <= set(EngineCoreOutput.__struct_fields__)
    assert {"queued_ts", "scheduled_ts", "first_token_ts", "last_token_ts"} <= set(vars(RequestStateStats()))
    assert {
        "n", "max_tokens", "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "stop", "seed",
        "output_kind", "structured_outputs",
    } <= set(SamplingParams.__struct_fields__)  # fmt: skip
    assert {"task", "dimensions"} <= set(PoolingParams.__struct_fields__)
    assert {"stop", "length", "abort", "error"} <= {str(reason) for reason in FinishReason}


def test_a_sequences_state_has_the_fields_that_are_read(llm: Any) -> None:
    from vllm import SamplingParams

    engine = llm.llm_engine
    engine.add_request("inspected", "The sea", SamplingParams(max_tokens=1))
    (state,) = engine.output_processor.request_states.values()
    while engine.has_unfinished_requests():
        engine.step()
    assert isinstance(state.prompt_len, int)
    assert isinstance(state.num_cached_tokens, int)
    assert len(state.detokenizer.output_token_ids) == 1
    assert isinstance(state.detokenizer.output_text, str)
    assert state.stats.first_token_ts > 0
    assert hasattr(engine.output_processor.tokenizer, "decode")
    assert engine.model_config.served_model_name
