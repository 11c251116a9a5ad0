"""The page's tables that need no script: the figures and the sources. Every text is escaped here."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING

from otel_genai.recording.output.formatting import printable
from otel_genai.recording.output.table import COLUMNS, PERCENTILES, Line, lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_genai.recording.analysis.statistics import Figures
    from otel_genai.recording.file.records import Recordings


def figures_table(rows: Sequence[Figures]) -> str:
    """The table of figures: a body for each row, and in it a line for each percentile."""
    heading = "".join(
        f'<th scope="col" title="{_text(column.meaning)}">{_text(column.heading)}</th>' for column in COLUMNS
    )
    return f"<thead><tr>{heading}</tr></thead>{''.join(_body(line) for line in lines(rows))}"


def _body(line: Line) -> str:
    name = "".join(f"<div>{_text(part)}</div>" for part in line.name)
    rows = []
    for place, percentile in enumerate(PERCENTILES):
        cells = [f'<th scope="row">{percentile}</th>']
        cells += [f"<td>{_text(times[place])}</td>" for times in line.times]
        cells += [f"<td>{_text(line.tokens[place])}</td>"]
        if place == 0:
            failed = ' class="failed"' if line.failed else ""
            cells.insert(0, f'<th scope="rowgroup" rowspan="{len(PERCENTILES)}"{failed}>{name}</th>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<tbody>{''.join(rows)}</tbody>"


def sources_table(recordings: Recordings) -> str:
    """The processes that wrote the recording."""
    calls = Counter(id(operation.process) for operation in recordings.operations)
    heading = _row("th", ("file", "host", "pid", "operations", "command", "versions"))
    body = "".join(
        _row(
            "td",
            (
                str(process.path),
                process.host,
                str(process.pid),
                f"{calls[id(process)]:,}",
                " ".join(process.command),
                ", ".join(f"{name} {version}" for name, version in process.versions.items()),
            ),
        )
        for process in recordings.processes
    )
    return f"<thead>{heading}</thead><tbody>{body}</tbody>"


def _row(tag: str, texts: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{_text(text)}</{tag}>" for text in texts) + "</tr>"


def _text(text: str) -> str:
    return escape(printable(text))
