"""What the installed vLLM must have for its instrumentation to see anything: read off its classes, without an engine."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from otel_genai.instrumentors.vllm.instrumentor import VllmInstrumentor

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

READ = {
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
"""The parameters that we read by position, or by the name that they have there."""
ROWS = [row for row in VllmInstrumentor.rows if not getattr(row, "optional", False)]


def target(row: Any) -> Any:
    found: Any = import_module(row.module)
    for name in row.target.split("."):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{type(row).__name__}-{row.target}")
def test_every_hook_that_is_needed_is_there(row: Any) -> None:
    assert callable(target(row))


def test_of_the_places_that_move_each_thing_has_one() -> None:
    optional = [row for row in VllmInstrumentor.rows if getattr(row, "optional", False)]
    found = set()
    for row in optional:
        try:
            if find_spec(row.module) is not None and callable(target(row)):
                found.add(row.target.rpartition(".")[2])
        except (ModuleNotFoundError, AttributeError):
            continue  # of another version
    assert {"generate", "chat", "encode", "embed", "classify", "score", "beam_search", "build_app"} <= found


@pytest.mark.parametrize("name", READ)
def test_what_we_read_by_position_is_where_it_was(name: str) -> None:
    rows = [row for row in VllmInstrumentor.rows if row.target == name]
    assert rows
    given = tuple(inspect.signature(target(rows[0])).parameters)[1:]
    assert given[: len(READ[name])] == READ[name]


def test_headers_are_handed_on_by_name() -> None:
    from vllm.v1.engine.async_llm import AsyncLLM

    assert "trace_headers" in inspect.signature(AsyncLLM.add_request).parameters


def test_gates_are_awaited_where_we_await_them() -> None:
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.engine.llm_engine import LLMEngine

    assert inspect.iscoroutinefunction(AsyncLLM.add_request)
    assert not inspect.iscoroutinefunction(LLMEngine.add_request)


def test_what_passes_by_has_the_fields_that_we_read() -> None:
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


def test_a_sequences_state_tells_what_we_ask_of_it(llm: Any) -> None:
    from vllm import SamplingParams

    engine = llm.llm_engine
    engine.add_request("looked at", "The sea", SamplingParams(max_tokens=1))
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
