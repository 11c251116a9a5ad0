"""The table of figures as text. Terminal and page both show it, so that they cannot differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_genai.recording.analysis.statistics import PERCENTS
from otel_genai.recording.output.formatting import UNKNOWN, numbered, rate, seconds, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_genai.recording.analysis.statistics import Figures, Percentiles
    from otel_genai.recording.file.records import Recordings

PERCENTILES: Final = tuple(f"p{percent}" for percent in PERCENTS)
_FIRST_CHUNK_MARK: Final = "*"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its heading and the meaning of its cells."""

    heading: str
    meaning: str


COLUMNS: Final = (
    Column("operation", "Operation and answering model, calls, errors"),
    Column("", "Percentiles, interpolated between the two nearest values"),
    Column(
        "duration",
        "From the start of the call until the response was received or given up; failed calls included",
    ),
    Column("first token", "From the start of a streamed call to the first chunk with generated output"),
    Column("inter-chunk", "Gaps between the chunks of a stream, from the first chunk to the last"),
    Column("per output token", "(last token - first token) / (output tokens - 1), for each stream"),
    Column(
        "tokens",
        "Input and output tokens as the provider counted them; output tokens per second of a call, and of wall clock",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One model in one operation: a cell for each column, with at most one line of text for each percentile."""

    name: tuple[str, ...]
    """Operation, model, calls, errors and, if there are any, unfinished calls."""
    failed: bool
    times: tuple[tuple[str, ...], ...]
    tokens: tuple[str, ...]


def lines(rows: Sequence[Figures]) -> list[Line]:
    """The table, one line for each row."""
    return [
        Line(
            name=(row.operation, row.model or UNKNOWN, *_counts(row)),
            failed=row.errors > 0,
            times=(
                _cell(row.duration),
                _cell(row.first_token) if row.first_token else _cell(row.first_chunk, _FIRST_CHUNK_MARK),
                _cell(row.inter_chunk),
                _cell(row.per_output_token),
            ),
            tokens=(
                f"{tokens(row.input_tokens)} in",
                f"{tokens(row.output_tokens)} out",
                f"{_per_second(row.output_rate)} a call",
                f"{_per_second(row.throughput)} in all",
            ),
        )
        for row in rows
    ]


def _counts(row: Figures) -> tuple[str, ...]:
    counts = (numbered(row.calls, "call"), numbered(row.errors, "error"))
    return (*counts, f"{row.unfinished:,} unfinished") if row.unfinished else counts


def notes(rows: Sequence[Figures], recordings: Recordings) -> list[str]:
    """The table's footnotes: its marks, and the parts of the recordings that are missing."""
    found = []
    if any(row.first_token is None and row.first_chunk is not None for row in rows):
        found.append(
            f"{_FIRST_CHUNK_MARK} time to first chunk: these streams do not report which chunk carried the first token."
        )
    if any(not sums.complete for row in rows for sums in (row.input_tokens, row.output_tokens) if sums):
        found.append("≥ some calls did not report their tokens.")
    if recordings.damaged:
        found.append(f"{numbered(recordings.damaged, 'damaged line')} skipped.")
    if recordings.left_out:
        found.append(
            f"{numbered(recordings.left_out, 'operation')} left out where recordings reached their size limit."
        )
    elif recordings.limited:
        found.append("A recording reached its size limit; later operations are missing.")
    return found


def _per_second(value: float | None) -> str:
    return UNKNOWN if value is None else f"{rate(value)}/s"


def _cell(times: Percentiles | None, mark: str = "") -> tuple[str, ...]:
    if times is None:
        return (UNKNOWN,) * len(PERCENTS)
    return tuple(f"{seconds(value)}{mark}" for value in times.values)
