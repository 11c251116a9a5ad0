"""The figures of a recording are exact, and unknown values stay unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.recording.analysis.statistics import Figures, Percentiles
from otel_genai.recording.analysis.summary import Tokens
from tests.support.recording.json_lines import ERROR, operation, stream
from tests.support.recording.report import rows

if TYPE_CHECKING:
    from pathlib import Path


def only(path: Path, *recorded: dict[str, Any]) -> Figures:
    (row,) = rows(path, *recorded)
    return row


def all_at(value: float, *, count: int = 1) -> Percentiles:
    return Percentiles(count=count, p50=value, p90=value, p95=value, p99=value)


def about(value: float) -> Any:
    """Equal but for the noise of floats."""
    return pytest.approx(value)


def test_figures_are_exact(tmp_path: Path) -> None:
    found = only(
        tmp_path,
        stream([100_000, 200_000, 250_000, 400_000], output=3, usage={"input": 10, "output": 3}),
        operation(began_us=1_000_000, duration_us=3_600_000, error=ERROR),
        operation(began_us=3_000_000, duration_us=1_000_000, unfinished=True),
    )
    assert found == Figures(
        operation="chat",
        model="model-1",
        calls=3,
        errors=1,
        unfinished=1,
        duration=Percentiles(
            count=3,
            p50=1.0,
            p90=about(1.0 + 0.8 * 2.6),
            p95=about(1.0 + 0.9 * 2.6),
            p99=about(1.0 + 0.98 * 2.6),
        ),
        first_token=all_at(0.2),
        first_chunk=all_at(0.1),
        inter_chunk=Percentiles(
            count=3,
            p50=about(0.1),
            p90=about(0.14),
            p95=about(0.145),
            p99=about(0.149),
        ),
        per_output_token=all_at(0.1),  # from 200 ms to 400 ms, for two tokens after the first
        input_tokens=Tokens(count=10, complete=False),
        output_tokens=Tokens(count=3, complete=False),
        output_rate=7.5,
        throughput=about(3 / 4.6),
    )


def test_an_unreported_value_is_unknown(tmp_path: Path) -> None:
    found = only(tmp_path, operation(model=None))
    assert (found.model, found.first_token, found.first_chunk, found.inter_chunk) == (None, None, None, None)
    assert (found.per_output_token, found.input_tokens, found.output_tokens) == (None, None, None)
    assert (found.output_rate, found.throughput) == (None, None)


def test_with_token_counts_of_chunks_the_last_token_is_in_the_last_chunk_with_tokens(tmp_path: Path) -> None:
    found = only(tmp_path, stream([100_000, 200_000, 300_000, 900_000], output=3, tokens=[0, 1, 2, 0]))
    assert found.per_output_token == all_at(about(0.05))


def test_tokens_of_an_engine_are_timed_without_a_stream(tmp_path: Path) -> None:
    asked, answered = {"side": "internal"}, {"finish_reasons": ["stop", "length"]}
    found = only(tmp_path, stream([100_000, 200_000, 400_000], output=6, request=asked, response=answered))
    assert found.first_token == all_at(0.2)
    assert found.per_output_token == all_at(about(0.1))  # two sequences of three tokens, side by side


@pytest.mark.parametrize("output", [None, 0, 1])
def test_fewer_than_two_tokens_have_no_time_per_token(output: int | None, tmp_path: Path) -> None:
    assert only(tmp_path, stream([100_000, 200_000], output=output)).per_output_token is None


def test_rows_are_by_operation_and_answering_model_most_called_first(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        operation(name="embeddings"),
        operation(model="alias", response={"model": "model-2"}),
        operation(model="model-2"),
    )
    assert [(row.operation, row.model, row.calls) for row in found] == [
        ("chat", "model-2", 2),
        ("embeddings", "model-1", 1),
    ]
