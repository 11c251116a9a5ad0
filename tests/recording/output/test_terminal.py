"""The summary is readable in a terminal and in a file."""

# ruff: noqa: RUF001 - the dash is the report's own
from __future__ import annotations

import io
from dataclasses import replace

import pytest

from otel_genai.recording.analysis.summary import Row, Tokens
from otel_genai.recording.analysis.trace_tree import SpanNode, SpanRecord
from otel_genai.recording.output.formatting import printable
from otel_genai.recording.output.terminal import print_summary

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


POST = SpanRecord(
    trace_id=1,
    span_id=2,
    parent_id=1,
    name="POST",
    kind="client",
    began_ns=2_000_000,
    ended_ns=2_500_000,
)
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
    children=(SpanNode(span=POST),),
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


def test_names_print_no_control_characters() -> None:
    assert printable("gpt\x1b[2J\r\n-é模\ud800") == "gpt?[2J??-é模?"
    to = io.StringIO()
    print_summary([replace(FIGURES[0], model="[red]x[/red]\x1b[31m")], None, to)
    assert "[red]x[/red]?[31m" in to.getvalue()
