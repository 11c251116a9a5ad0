"""The summary is exact, says nothing that nobody told, stays bounded, and is readable wherever stderr goes."""

# ruff: noqa: RUF001 - the dash is the summary's own
from __future__ import annotations

import io
import threading

import pytest

from otel_genai.operation import Failure, Operation, Request, Response, Side, Timing, Usage
from otel_genai.recording.analysis.summary import KEPT_CALLS, KEPT_ROWS, Row, Summary, Tokens, percentile
from otel_genai.recording.analysis.trace_tree import SHOWN_SPANS, SpanNode, SpanRecord, trace_tree
from otel_genai.recording.output.formatting import printable, seconds
from otel_genai.recording.output.terminal import print_summary


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


# ── figures ────────────────────────────────────────────────────────────────────────────────────────────────────────────


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


def test_what_nobody_told_is_unknown() -> None:
    (row,) = rows(operation(model=None))
    assert (row.model, row.first_token_p50) == (None, None)
    assert (row.input_tokens, row.output_tokens, row.output_rate) == (None, None, None)


def test_an_engine_tells_its_first_token_though_nobody_streams() -> None:
    timing = Timing(began_ns=0, started=100.0, ended=101.0, first_token=100.25)
    (row,) = rows(Operation(request=Request(operation="chat", provider="vllm", side=Side.INTERNAL), timing=timing))
    assert row.first_token_p50 == 0.25


def test_a_stream_without_a_token_has_no_time_to_it() -> None:
    timing = Timing(began_ns=0, started=0.0, ended=1.0, chunks=[0.5], waits=[0.0])
    (row,) = rows(Operation(request=Request(operation="chat", provider="openai", stream=True), timing=timing))
    assert row.first_token_p50 is None


def test_tokens_that_some_did_not_tell_are_a_lower_bound() -> None:
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


# ── a server that lives long ───────────────────────────────────────────────────────────────────────────────────────────


def test_times_are_of_the_last_calls_and_counts_of_all() -> None:
    summary = Summary()
    for _ in range(KEPT_CALLS):
        summary.add(operation(9.0))
    for _ in range(KEPT_CALLS):
        summary.add(operation(1.0))
    (row,) = summary.rows()
    assert (row.calls, row.duration_p50, row.duration_p95) == (2 * KEPT_CALLS, 1.0, 1.0)


def test_models_without_end_share_a_row() -> None:
    found = rows(*(operation(model=f"model-{number}") for number in range(KEPT_ROWS + 50)))
    assert len(found) == KEPT_ROWS + 1
    assert (found[0].model, found[0].calls) == ("(other models)", 50)


def test_every_thread_is_counted() -> None:
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
    with summary._counting:
        for _ in range(1000):
            summary.add(operation())
    assert summary.rows()[0].calls == 1000


# ── the trace of the last call ─────────────────────────────────────────────────────────────────────────────────────────


def span(span_id: int, parent_id: int | None, name: str = "span", *, trace_id: int = 1) -> SpanRecord:
    return SpanRecord(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        name=name,
        kind="client",
        began_ns=span_id * 1_000_000,
        ended_ns=span_id * 1_000_000 + 500_000,
    )


def names(node: SpanNode | None) -> object:
    return None if node is None else [node.span.name, *map(names, node.children)]


def test_the_tree_holds_the_call_what_is_beneath_and_what_is_around() -> None:
    spans = [
        span(4, 3, "POST"),
        span(3, 1, "chat"),
        span(5, 1, "embeddings"),
        span(1, None, "answer"),
        span(6, None, "elsewhere", trace_id=2),
    ]
    assert names(trace_tree(spans, trace_id=1, span_id=3)) == ["answer", ["chat", ["POST"]], ["embeddings"]]


def test_a_parent_that_is_still_open_or_elsewhere_is_left_out() -> None:
    assert names(trace_tree([span(3, 99, "chat")], trace_id=1, span_id=3)) == ["chat"]


def test_an_unknown_call_has_no_tree() -> None:
    assert trace_tree([span(3, None)], trace_id=1, span_id=4) is None


def test_a_large_trace_is_cut_down_to_the_call() -> None:
    around = [span(1, None, "root"), *(span(number, 1) for number in range(100, 200))]
    assert names(trace_tree([*around, span(2, 1, "chat"), span(3, 2, "POST")], trace_id=1, span_id=2)) == [
        "chat",
        ["POST"],
    ]


def test_a_large_call_is_cut_at_its_leaves() -> None:
    tree = trace_tree([span(1, None), *(span(number, 1) for number in range(2, 102))], trace_id=1, span_id=1)
    assert tree is not None
    assert (len(tree.children), tree.hidden) == (SHOWN_SPANS - 1, 100 - (SHOWN_SPANS - 1))


def test_a_trace_that_bites_its_tail_ends() -> None:
    assert names(trace_tree([span(1, 2, "a"), span(2, 1, "b")], trace_id=1, span_id=1)) is not None


# ── on paper ───────────────────────────────────────────────────────────────────────────────────────────────────────────

FIGURES = [
    Row(
        operation="chat",
        model="gpt-4o-mini-2024-07-18",
        calls=1234,
        errors=2,
        duration_p50=0.8124,
        duration_p95=1.238,
        first_token_p50=0.0982,
        input_tokens=Tokens(count=1_234_567, complete=True),
        output_tokens=Tokens(count=40_000, complete=False),
        output_rate=61.66,
    ),
    Row(
        operation="embeddings",
        model=None,
        calls=1,
        errors=0,
        duration_p50=0.00321,
        duration_p95=0.00321,
        first_token_p50=None,
        input_tokens=Tokens(count=5, complete=True),
        output_tokens=None,
        output_rate=None,
    ),
]
TREE = SpanNode(
    span=SpanRecord(
        trace_id=1,
        span_id=1,
        parent_id=None,
        name="chat gpt-4o-mini",
        kind="client",
        began_ns=0,
        ended_ns=1_238_000_000,
        failed=True,
        notes=(("first chunk", 0.0982), ("in", 12), ("error", "openai.APIError")),
    ),
    children=(SpanNode(span=span(2, 1, "POST")),),
    hidden=3,
)
PAPER = """\
GenAI calls
                                                                         first
                                                   duration  duration    token  tokens   tokens  tokens
operation   model                   calls  errors       p50       p95      p50      in      out   out/s
───────────────────────────────────────────────────────────────────────────────────────────────────────
chat        gpt-4o-mini-2024-07-18  1,234       2    812 ms    1.24 s  98.2 ms   1.23M  ≥40,000    61.7
embeddings  –                           1       0   3.21 ms   3.21 ms        –       5        –       –

Trace of the last call
chat gpt-4o-mini  1.24 s  client  ERROR  first chunk=98.2 ms  in=12  error=openai.APIError
├── POST  500 µs  client
└── … 3 more
"""


class Terminal(io.StringIO):
    """Text that claims to be shown."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("force", [{}, {"FORCE_COLOR": "1"}, {"COLUMNS": "40"}])
def test_a_log_file_gets_plain_text_of_a_fixed_width(force: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in force.items():
        monkeypatch.setenv(name, value)
    to = io.StringIO()
    print_summary(FIGURES, TREE, to)
    assert [line.rstrip() for line in to.getvalue().splitlines()] == PAPER.splitlines()


def test_a_narrow_terminal_folds_names_and_keeps_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    to = Terminal()
    print_summary(FIGURES, None, to)
    lines = to.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    for figure in ("1,234", "812 ms", "1.24 s", "98.2 ms", "1.23M", "≥40,000", "61.7"):
        assert figure in to.getvalue()
    assert "gpt-4o" in to.getvalue()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (0.0, "0 µs"),
        (0.000_25, "250 µs"),
        (0.003_214, "3.21 ms"),
        (0.0999, "99.9 ms"),
        (0.8124, "812 ms"),
        (0.9996, "1.00 s"),
        (59.95, "60.0 s"),
        (754.2, "754 s"),
    ],
)
def test_times_are_in_the_unit_that_reads_best(value: float | None, expected: str) -> None:
    assert seconds(value) == expected


def test_a_name_from_a_server_cannot_command_the_terminal() -> None:
    assert printable("gpt\x1b[2J\r\n-é模\ud800") == "gpt?[2J??-é模?"
    to = io.StringIO()
    print_summary(rows(operation(model="[red]x[/red]\x1b[31m")), None, to)
    assert "[red]x[/red]?[31m" in to.getvalue()
