"""The summary of a run, as a table and a tree: with colours in a terminal, as plain text in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from otel_genai.recording.output.formatting import UNKNOWN, printable, rate, seconds, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_genai.recording.analysis.summary import Row
    from otel_genai.recording.analysis.trace_tree import SpanNode

_FILE_WIDTH: Final = 120
_WIDE_TERMINAL: Final = 100
"""Columns of text, as above."""

_HEADINGS: Final = (
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
    """Write the table, and the trace of the last call if it is known."""
    console = console_for(to)
    console.print(Text("GenAI calls", style="italic"))
    console.print(_table(rows, gap=0 if console.width < _WIDE_TERMINAL else 1))
    if tree is not None:
        console.print()
        console.print(Text("Trace of the last call", style="italic"))
        console.print(_tree(tree))


def console_for(to: TextIO) -> Console:
    """A console that prints text as it is: without markup, and with colours on a terminal only."""
    terminal = to.isatty()
    return Console(
        file=to,
        width=None if terminal else _FILE_WIDTH,
        # Not even FORCE_COLOR puts escape codes into a log file.
        force_terminal=terminal,
        color_system="auto" if terminal else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _table(rows: Sequence[Row], *, gap: int) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, gap, 0, 0), pad_edge=False)
    # The box adds one space to `gap`. The model's name folds, so that figures never do.
    table.add_column(_heading("operation"), no_wrap=True)
    table.add_column(_heading("model"), overflow="fold")
    for heading in _HEADINGS:
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
            tokens(row.input_tokens),
            tokens(row.output_tokens),
            rate(row.output_rate),
        )
    return table


def _heading(heading: str) -> str:
    """The heading at the bottom of three lines, the height of the longest one."""
    return "\n" * (2 - heading.count("\n")) + heading


def _tree(root: SpanNode) -> Tree:
    tree = Tree(_line(root))
    _add_children(tree, root)
    return tree


def _add_children(tree: Tree, node: SpanNode) -> None:
    for child in node.children:
        _add_children(tree.add(_line(child)), child)
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
