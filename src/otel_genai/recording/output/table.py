"""The figures in words, as a table of text: the terminal and the page both set it, so that they cannot differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_genai.recording.analysis.statistics import SHARES
from otel_genai.recording.output.formatting import UNKNOWN, numbered, rate, seconds, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_genai.recording.analysis.statistics import Figures, Percentiles
    from otel_genai.recording.file.decode import Recordings

PERCENTILES: Final = tuple(f"p{share}" for share in SHARES)
_INSTEAD: Final = "*"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its heading, and what stands in it."""

    heading: str
    meaning: str


COLUMNS: Final = (
    Column("operation", "Operation and answering model, calls, errors"),
    Column("", "Percentiles, interpolated between the two nearest values"),
    Column("duration", "From the start of the call until the answer was received or given up; failed calls included"),
    Column("first token", "From the start of a streamed call to the first chunk that brought generated output"),
    Column("inter-token", "Gaps between the chunks of a stream, from the first to the last"),
    Column("per output token", "(last token - first token) / (output tokens - 1), for each stream"),
    Column(
        "tokens",
        "Input and output tokens as the provider counted them; output tokens per second of a call, and of wall clock",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One model in one operation: a cell for each column, of as many lines of text as there are percentiles or fewer."""

    name: tuple[str, ...]
    """Operation, model, calls, errors and what is unfinished."""
    failed: bool
    times: tuple[tuple[str, ...], ...]
    tokens: tuple[str, ...]


def lines(rows: Sequence[Figures]) -> list[Line]:
    """The table, a line for each of the rows."""
    return [
        Line(
            name=(row.operation, row.model or UNKNOWN, *counts(row)),
            failed=row.errors > 0,
            times=(
                _cell(row.duration),
                _cell(row.first_token) if row.first_token else _cell(row.first_chunk, _INSTEAD),
                _cell(row.inter_token),
                _cell(row.per_output_token),
            ),
            tokens=(
                f"{tokens(row.input_tokens)} in",
                f"{tokens(row.output_tokens)} out",
                f"{_each_second(row.output_rate)} a call",
                f"{_each_second(row.throughput)} in all",
            ),
        )
        for row in rows
    ]


def counts(row: Figures) -> tuple[str, ...]:
    """How many calls there were, and how many of them went wrong."""
    said = (numbered(row.calls, "call"), numbered(row.errors, "error"))
    return (*said, f"{row.unfinished:,} unfinished") if row.unfinished else said


def notes(rows: Sequence[Figures], recordings: Recordings) -> list[str]:
    """What must be known to read the table right."""
    said = []
    if any(row.first_token is None and row.first_chunk is not None for row in rows):
        said.append(
            f"{_INSTEAD} time to the first chunk: these streams do not tell which chunk brought the first token."
        )
    if any(not told.complete for row in rows for told in (row.input_tokens, row.output_tokens) if told):
        said.append("≥ not all calls told their tokens.")
    if recordings.damaged:
        said.append(f"{numbered(recordings.damaged, 'damaged line')} skipped.")
    if recordings.left_out:
        said.append(f"{numbered(recordings.left_out, 'operation')} left out where recordings reached their size limit.")
    elif recordings.limited:
        said.append("A recording reached its size limit, and what came after is not in it.")
    return said


def _each_second(value: float | None) -> str:
    return UNKNOWN if value is None else f"{rate(value)}/s"


def _cell(times: Percentiles | None, mark: str = "") -> tuple[str, ...]:
    if times is None:
        return (UNKNOWN,) * len(SHARES)
    return tuple(f"{seconds(value)}{mark}" for value in times.values)
