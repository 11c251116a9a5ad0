"""Spans of vLLM itself: which are left out, and how a user keeps them."""

from __future__ import annotations

import pytest

from otel_genai.config import Config
from otel_genai.endpoint.server_rows import LibrarySpansRow
from otel_genai.instrumentors.vllm.instrumentor import VllmInstrumentor


def left_out(config: Config) -> list[str]:
    rows = VllmInstrumentor().rows_for(config)
    return [row.target for row in rows if isinstance(row, LibrarySpansRow) and row.part == "report"]


def test_vllms_span_of_a_request_is_left_out() -> None:
    assert left_out(Config()) == ["OutputProcessor.do_tracing"]


@pytest.mark.parametrize("kept", [True, False])
def test_a_setting_keeps_it(kept: bool) -> None:
    config = Config.from_environment({"OTEL_GENAI_VLLM_NATIVE_SPANS": str(kept).lower()})
    assert (left_out(config) == []) is kept


def test_spans_of_loading_join_the_trace_in_both_cases() -> None:
    kept = VllmInstrumentor().rows_for(Config(native_spans=True))
    assert {row.part for row in kept if isinstance(row, LibrarySpansRow)} == {"parent", "provider"}
