"""The summary as people read it: a table and a tree, in a terminal or in a log file, plain where there is no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_genai.recording.summary import Row, Tokens
    from otel_genai.recording.trace_tree import SpanNode

UNKNOWN: Final = "\N{EN DASH}"
_WIDTH_OF_A_FILE: Final = 120
_ROOMY: Final = 100

_FIGURES: Final = (
    "calls",
    "errors",
    "duration\np50",
    "duration\np95",
    "first\ntoken\np50",
    "tokens\nin",
    "tokens\nout",
    "tokens\nout/s",
)


def print_summary(rows: Sequence[Row], tree: SpanNode | None, to: TextIO) -> None:
    """Write the table and, if there is one, the trace of the last call."""
    terminal = to.isatty()
    console = Console(
        file=to,
        width=None if terminal else _WIDTH_OF_A_FILE,
        # Neither FORCE_COLOR nor the like puts escape codes into a log file.
        force_terminal=terminal,
        color_system="auto" if terminal else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(Text("GenAI calls", style="italic"))
    console.print(_table(rows, gap=0 if console.width < _ROOMY else 1))
    if tree is not None:
        console.print()
        console.print(Text("Trace of the last call", style="italic"))
        console.print(_tree(tree))


def _table(rows: Sequence[Row], *, gap: int) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, gap, 0, 0), pad_edge=False)
    # Beside `gap`, the box itself puts one column between two. The model's name folds, so that figures never do.
    table.add_column(_heading("operation"), no_wrap=True)
    table.add_column(_heading("model"), overflow="fold")
    for heading in _FIGURES:
        table.add_column(_heading(heading), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            printable(row.operation),
            printable(row.model) if row.model else UNKNOWN,
            f"{row.calls:,}",
            Text(f"{row.errors:,}", style="red" if row.errors else ""),
            seconds(row.duration_p50),
            seconds(row.duration_p95),
            seconds(row.first_token_p50),
            _tokens(row.input_tokens),
            _tokens(row.output_tokens),
            _rate(row.output_rate),
        )
    return table


def _heading(heading: str) -> str:
    """Set at the bottom of the three lines that the longest heading takes."""
    return "\n" * (2 - heading.count("\n")) + heading


def _tree(root: SpanNode) -> Tree:
    tree = Tree(_line(root))
    _grow(tree, root)
    return tree


def _grow(tree: Tree, node: SpanNode) -> None:
    for child in node.children:
        _grow(tree.add(_line(child)), child)
    if node.hidden:
        tree.add(Text(f"… {node.hidden} more", style="dim"))


def _line(node: SpanNode) -> Text:
    span = node.span
    line = Text()
    line.append(printable(span.name), style="red" if span.failed else "")
    line.append(f"  {seconds((span.ended_ns - span.began_ns) / 1e9)}", style="bold")
    line.append(f"  {span.kind}", style="dim")
    if span.failed:
        line.append("  ERROR", style="red")
    for label, value in span.notes:
        shown = seconds(value) if isinstance(value, float) else printable(str(value))
        line.append(f"  {label}={shown}" if label else f"  {shown}")
    return line


def _tokens(tokens: Tokens | None) -> str:
    if tokens is None:
        return UNKNOWN
    return f"{_count(tokens.count)}" if tokens.complete else f"≥{_count(tokens.count)}"


def _count(count: float) -> str:
    """A number of things, exact while it is small enough to be read: 99,999, 124k, 1.20M."""
    if count < 99_999.5:
        return f"{count:,.0f}"
    number, unit = (count / 1e3, "k") if count < 999_500 else (count / 1e6, "M")
    return f"{_three_digits(number)}{unit}"


def _rate(rate: float | None) -> str:
    if rate is None:
        return UNKNOWN
    return f"{rate:.1f}" if rate < 99.95 else _count(rate)


def seconds(value: float | None) -> str:
    """A time in the unit that reads best, to three digits: 250 µs, 3.21 ms, 812 ms, 1.24 s, 95.1 s."""
    if value is None:
        return UNKNOWN
    if value < 0.000_999_5:
        return f"{value * 1e6:.0f} µs"
    number, unit = (value * 1e3, "ms") if value < 0.9995 else (value, "s")
    return f"{_three_digits(number)} {unit}"


def _three_digits(number: float) -> str:
    return f"{number:,.{2 if number < 9.995 else 1 if number < 99.95 else 0}f}"


def printable(name: str) -> str:
    """A name that came from elsewhere, safe to print: a terminal obeys control characters, and an encoder refuses surrogates."""
    return "".join(character if character.isprintable() else "?" for character in name)
