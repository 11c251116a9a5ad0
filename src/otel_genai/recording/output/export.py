"""The figures for other programs: JSON and CSV, with times in seconds and `null`, or nothing, for what is not known."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, TextIO

from otel_genai.recording.analysis.comparison import compared
from otel_genai.recording.analysis.statistics import SHARES
from otel_genai.recording.output.formatting import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_genai.recording.analysis.comparison import Pair
    from otel_genai.recording.analysis.statistics import Figures, Percentiles
    from otel_genai.recording.analysis.summary import Tokens
    from otel_genai.recording.file.decode import Recordings


def write_json(rows: Sequence[Figures], recordings: Recordings, to: TextIO) -> None:
    """One object: what was read, and the figures, an object for each row of the table."""
    told = {**_read(recordings), "figures": [_figures(row) for row in rows]}
    to.write(json.dumps(told, indent=2) + "\n")


def write_csv(rows: Sequence[Figures], to: TextIO) -> None:
    """A heading, and a line for each row of the table: an object of the JSON, laid flat."""
    flat = [dict(_flat(_figures(row))) for row in rows]
    if not flat:
        return
    writer = csv.DictWriter(to, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)


def write_comparison_json(pairs: Sequence[Pair], recordings: tuple[Recordings, Recordings], to: TextIO) -> None:
    """One object: what was read twice, and for each pair of rows every figure of the first, of the second, and the ratio."""
    told = {
        "first": _read(recordings[0]),
        "second": _read(recordings[1]),
        "figures": [
            {
                "operation": pair.operation,
                "model": [row.model if row else None for row in (pair.first, pair.second)],
                "compared": {
                    one.key: {
                        "first": _rounded(one.first),
                        "second": _rounded(one.second),
                        "ratio": _rounded(one.ratio),
                    }
                    for one in compared(pair)
                },
            }
            for pair in pairs
        ],
    }
    to.write(json.dumps(told, indent=2) + "\n")


def _read(recordings: Recordings) -> dict[str, Any]:
    return {
        "files": list(dict.fromkeys(str(process.path) for process in recordings.processes)),
        "operations": len(recordings.operations),
        "damaged_lines": recordings.damaged,
        "left_out": recordings.left_out,
    }


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
        "inter_token_latency": _percentiles(row.inter_token),
        "time_per_output_token": _percentiles(row.per_output_token),
        "input_tokens": _tokens(row.input_tokens),
        "output_tokens": _tokens(row.output_tokens),
        "output_tokens_per_second": {"of_a_call": _rounded(row.output_rate), "in_all": _rounded(row.throughput)},
    }


def _percentiles(times: Percentiles | None) -> dict[str, float | None]:
    values = times.values if times else (None,) * len(SHARES)
    named = {f"p{share}": _rounded(value) for share, value in zip(SHARES, values, strict=True)}
    return {"count": times.count if times else 0, **named}


def _tokens(tokens: Tokens | None) -> dict[str, int | bool | None]:
    return {"count": tokens.count if tokens else None, "complete": tokens.complete if tokens else None}


def _flat(told: dict[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in told.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}_")
        else:
            yield before + name, _cell(value)


def _cell(value: Any) -> Any:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return printable(value)
        case _:
            return value


def _rounded(value: float | None) -> float | None:
    # To the nanosecond: a recording tells microseconds, and the rest is the noise of floats.
    return None if value is None else round(value, 9)
