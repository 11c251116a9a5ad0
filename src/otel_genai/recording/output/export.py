"""The figures for other programs: JSON and CSV, with times in seconds. An unknown value is `null`, or an empty cell."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, Final, TextIO

from otel_genai.recording.analysis.comparison import compared
from otel_genai.recording.analysis.statistics import PERCENTS
from otel_genai.recording.output.formatting import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_genai.recording.analysis.comparison import ComparedFigure, Pair
    from otel_genai.recording.analysis.statistics import Figures, Percentiles
    from otel_genai.recording.analysis.summary import Tokens
    from otel_genai.recording.file.records import Recordings

_INTER_CHUNK: Final = "inter_chunk_latency"
_INTER_TOKEN: Final = "inter_token_latency"  # noqa: S105 - no password
"""The former name of `inter_chunk_latency`, which programs may read."""


def write_json(rows: Sequence[Figures], recordings: Recordings, to: TextIO) -> None:
    """One object: the files that were read, and the figures, an object for each row of the table."""
    content = {**_source(recordings), "figures": [_figures(row) for row in rows]}
    to.write(json.dumps(content, indent=2) + "\n")


def write_csv(rows: Sequence[Figures], to: TextIO) -> None:
    """A heading, and a line for each row of the table: an object of the JSON, flattened."""
    flat = [dict(_flat(_figures(row))) for row in rows]
    if not flat:
        return
    writer = csv.DictWriter(to, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)


def write_comparison_json(pairs: Sequence[Pair], recordings: tuple[Recordings, Recordings], to: TextIO) -> None:
    """One object: both sets of files, and for each pair of rows every figure's `first`, `second` and `ratio`."""
    content = {
        "first": _source(recordings[0]),
        "second": _source(recordings[1]),
        "figures": [
            {
                "operation": pair.operation,
                "model": [row.model if row else None for row in (pair.first, pair.second)],
                "compared": {key: figure for one in compared(pair) for key, figure in _compared(one)},
            }
            for pair in pairs
        ],
    }
    to.write(json.dumps(content, indent=2) + "\n")


def _source(recordings: Recordings) -> dict[str, Any]:
    return {
        "files": list(dict.fromkeys(str(process.path) for process in recordings.processes)),
        "operations": len(recordings.operations),
        "damaged_lines": recordings.damaged,
        "left_out": recordings.left_out,
    }


def _compared(one: ComparedFigure) -> Iterable[tuple[str, dict[str, float | None]]]:
    figure = {"first": _rounded(one.first), "second": _rounded(one.second), "ratio": _rounded(one.ratio)}
    yield one.key, figure
    if one.key.startswith(_INTER_CHUNK):
        yield one.key.replace(_INTER_CHUNK, _INTER_TOKEN), figure


def _figures(row: Figures) -> dict[str, Any]:
    return {
        "operation": row.operation,
        "model": row.model,
        "calls": row.calls,
        "errors": row.errors,
        "unfinished": row.unfinished,
        "duration": _percentiles(row.duration),
        "time_to_first_token": _percentiles(row.first_token),
        "time_to_first_chunk": _percentiles(row.first_chunk),
        _INTER_CHUNK: _percentiles(row.inter_chunk),
        _INTER_TOKEN: _percentiles(row.inter_chunk),
        "time_per_output_token": _percentiles(row.per_output_token),
        "input_tokens": _tokens(row.input_tokens),
        "output_tokens": _tokens(row.output_tokens),
        "output_tokens_per_second": {"of_a_call": _rounded(row.output_rate), "in_all": _rounded(row.throughput)},
    }


def _percentiles(times: Percentiles | None) -> dict[str, float | None]:
    values = times.values if times else (None,) * len(PERCENTS)
    named = {f"p{percent}": _rounded(value) for percent, value in zip(PERCENTS, values, strict=True)}
    return {"count": times.count if times else 0, **named}


def _tokens(tokens: Tokens | None) -> dict[str, int | bool | None]:
    return {"count": tokens.count if tokens else None, "complete": tokens.complete if tokens else None}


def _flat(figures: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        else:
            yield prefix + name, _cell(value)


def _cell(value: Any) -> Any:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return printable(value)
        case _:
            return value


def _rounded(value: float | None) -> float | None:
    # To the nanosecond: a recording has microseconds, and the rest is the noise of floats.
    return None if value is None else round(value, 9)
