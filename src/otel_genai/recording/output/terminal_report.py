"""A report in a terminal or a file: the table of figures, or two recordings side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from otel_genai.recording.analysis.comparison import compared
from otel_genai.recording.output.formatting import printable
from otel_genai.recording.output.table import COLUMNS, PERCENTILES, Line, lines, notes
from otel_genai.recording.output.terminal import console_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_genai.recording.analysis.comparison import Pair
    from otel_genai.recording.analysis.statistics import Figures
    from otel_genai.recording.file.records import Recordings

_LINE_BREAKS: Final = {"per output token": "per output\ntoken"}
"""Headings that do not break at every space."""


def print_figures(rows: Sequence[Figures], recordings: Recordings, to: TextIO) -> None:
    """Write the table and its footnotes."""
    console = console_for(to)
    if not rows:
        console.print("No GenAI calls were recorded.")
    else:
        console.print(_figures(rows))
    for note in notes(rows, recordings):
        console.print(note, style="dim")


def _figures(rows: Sequence[Figures]) -> Table:
    table = _table()
    for column in COLUMNS[:2]:
        table.add_column(_heading(column.heading), overflow="fold")
    for column in COLUMNS[2:]:
        table.add_column(_heading(column.heading), justify="right", no_wrap=True)
    for line in lines(rows):
        table.add_row(_name(line), "\n".join(PERCENTILES), *map("\n".join, line.times), "\n".join(line.tokens))
        table.add_section()
    return table


def print_comparison(pairs: Sequence[Pair], names: tuple[str, str], to: TextIO) -> None:
    """Write a table for each pair: a row for each figure, with the first, the second and their ratio."""
    console = console_for(to)
    for place, pair in enumerate(pairs):
        if place:
            console.print()
        title = f"{pair.operation} {' → '.join(map(printable, pair.models))}"
        if pair.first is None or pair.second is None:
            console.print(f"{title}: only in {printable(names[0] if pair.first else names[1])}")
            continue
        table = _table()
        table.add_column(Text(title, style="bold"), overflow="fold")
        for name in names:
            table.add_column(printable(name), justify="right", overflow="fold")
        table.add_column("ratio", justify="right", no_wrap=True)
        for figure in compared(pair):
            table.add_row(figure.name, *figure.texts)
        console.print(table)


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)


def _heading(heading: str) -> str:
    """The heading at the bottom of two lines."""
    heading = _LINE_BREAKS.get(heading, heading.replace(" ", "\n"))
    return heading if "\n" in heading else f"\n{heading}"


def _name(line: Line) -> Text:
    operation, model, calls, errors, *unfinished = map(printable, line.name)
    return Text("\n").join(
        [
            Text(operation, style="bold"),
            Text(model, style="bold"),
            Text(calls),
            Text(errors, style="red" if line.failed else ""),
            *map(Text, unfinished),
        ]
    )
