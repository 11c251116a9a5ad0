"""The summary of a run is exact, invents nothing and stays bounded."""

from __future__ import annotations

import threading

import pytest

from otel_genai.operation import Failure, Operation, Request, Response, Side, Timing, Usage
from otel_genai.recording.analysis.summary import KEPT_CALLS, KEPT_ROWS, Row, Summary, Tokens, percentile


def operation(
    duration: float = 1.0,
    *,
    name: str = "chat",
    model: str | None = "asked",
    answered_by: str | None = None,
    first_token: float | None = None,
    usage: Usage | None = None,
    failed: bool = False,
) -> Operation:
    """A finished operation that began at 100 s; streamed if its first token is given."""
    return Operation(
        request=Request(operation=name, provider="openai", model=model, stream=first_token is not None),
        response=Response(model=answered_by, usage=usage),
        timing=Timing(
            began_ns=0,
            started=100.0,
            ended=100.0 + duration,
            first_token=None if first_token is None else 100.0 + first_token,
        ),
        failure=Failure("openai.RateLimitError", "429") if failed else None,
    )


def rows(*operations: Operation) -> list[Row]:
    summary = Summary()
    for one in operations:
        summary.add(one)
    return summary.rows()


def test_figures_are_exact() -> None:
    usage = Usage(input=10, output=30)
    failures = [operation(3.0, failed=True)] * 19
    assert rows(
        operation(1.0, first_token=0.25, usage=usage), operation(2.0, first_token=0.5, usage=usage), *failures
    ) == [
        Row(
            operation="chat",
            model="asked",
            calls=21,
            errors=19,
            duration_p50=3.0,
            duration_p95=3.0,
            first_token_p50=0.375,
            input_tokens=Tokens(count=20, complete=True),
            output_tokens=Tokens(count=60, complete=True),
            output_rate=20.0,
        )
    ]


def test_an_unreported_value_is_unknown() -> None:
    (row,) = rows(operation(model=None))
    assert (row.model, row.first_token_p50) == (None, None)
    assert (row.input_tokens, row.output_tokens, row.output_rate) == (None, None, None)


def test_an_engine_reports_its_first_token_without_a_stream() -> None:
    timing = Timing(began_ns=0, started=100.0, ended=101.0, first_token=100.25)
    (row,) = rows(Operation(request=Request(operation="chat", provider="vllm", side=Side.INTERNAL), timing=timing))
    assert row.first_token_p50 == 0.25


def test_a_stream_without_a_token_has_no_time_to_first_token() -> None:
    timing = Timing(began_ns=0, started=0.0, ended=1.0, chunks=[0.5], waits=[0.0])
    (row,) = rows(Operation(request=Request(operation="chat", provider="openai", stream=True), timing=timing))
    assert row.first_token_p50 is None


def test_tokens_that_some_calls_did_not_report_are_a_lower_bound() -> None:
    (row,) = rows(operation(usage=Usage(input=5, output=8)), operation(usage=Usage(input=5)))
    assert row.input_tokens == Tokens(count=10, complete=True)
    assert row.output_tokens == Tokens(count=8, complete=False)
    assert row.output_rate == 8.0


def test_zero_tokens_are_not_unknown() -> None:
    (row,) = rows(operation(usage=Usage(input=0, output=0)))
    assert row.output_tokens == Tokens(count=0, complete=True)
    assert row.output_rate == 0.0


def test_tokens_of_failed_calls_count_but_have_no_rate() -> None:
    (row,) = rows(operation(failed=True, usage=Usage(output=7)))
    assert row.output_tokens == Tokens(count=7, complete=True)
    assert row.output_rate is None


def test_rows_are_by_operation_and_answering_model_most_called_first() -> None:
    found = rows(
        operation(model="alias", answered_by="model-1"),
        operation(model="model-2"),
        operation(model="model-1"),
        operation(name="embeddings", model="model-1"),
    )
    assert [(row.operation, row.model, row.calls) for row in found] == [
        ("chat", "model-1", 2),
        ("chat", "model-2", 1),
        ("embeddings", "model-1", 1),
    ]


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([4.0], 0.95, 4.0), ([3.0, 1.0], 0.5, 2.0), ([1.0, 2.0, 3.0, 4.0, 5.0], 0.95, 4.8)],
)
def test_percentiles_are_interpolated(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == pytest.approx(expected)


def test_times_are_of_the_last_calls_and_counts_of_all() -> None:
    summary = Summary()
    for _ in range(KEPT_CALLS):
        summary.add(operation(9.0))
    for _ in range(KEPT_CALLS):
        summary.add(operation(1.0))
    (row,) = summary.rows()
    assert (row.calls, row.duration_p50, row.duration_p95) == (2 * KEPT_CALLS, 1.0, 1.0)


def test_models_beyond_the_kept_rows_share_one() -> None:
    found = rows(*(operation(model=f"model-{number}") for number in range(KEPT_ROWS + 50)))
    assert len(found) == KEPT_ROWS + 1
    assert (found[0].model, found[0].calls) == ("(other models)", 50)


def test_calls_of_all_threads_are_counted() -> None:
    summary = Summary()

    def work() -> None:
        for _ in range(1000):
            summary.add(operation(usage=Usage(input=1)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (row,) = summary.rows()
    assert (row.calls, row.input_tokens) == (8000, Tokens(count=8000, complete=True))


def test_adding_never_waits() -> None:
    summary = Summary()
    with summary._count_lock:
        for _ in range(1000):
            summary.add(operation())
    assert summary.rows()[0].calls == 1000
