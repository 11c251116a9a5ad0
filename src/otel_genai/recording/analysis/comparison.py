"""Two recordings side by side: the same figures of both, and the ratio of the second to the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_genai.recording.analysis.statistics import PERCENTS
from otel_genai.recording.output.formatting import UNKNOWN, count, rate, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_genai.recording.analysis.statistics import Figures, Percentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One operation in both recordings, by the same model or by the only one of each; `None` where it does not occur."""

    first: Figures | None
    second: Figures | None

    @property
    def operation(self) -> str:
        """The operation of both."""
        return next(row.operation for row in (self.first, self.second) if row)

    @property
    def models(self) -> tuple[str, ...]:
        """One model, or two if they differ."""
        return tuple(dict.fromkeys(row.model or UNKNOWN for row in (self.first, self.second) if row))


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFigure:
    """One figure of both recordings; `None` where it is unknown."""

    key: str
    """Its name in JSON."""
    name: str
    """Its name for people."""
    first: float | None
    second: float | None
    format: Callable[[float], str]

    @property
    def ratio(self) -> float | None:
        """The second divided by the first; `None` if that is impossible."""
        return self.second / self.first if self.first and self.second is not None else None

    @property
    def texts(self) -> tuple[str, str, str]:
        """First, second and ratio."""
        one, other = (UNKNOWN if value is None else self.format(value) for value in (self.first, self.second))
        return one, other, UNKNOWN if self.ratio is None else f"{self.ratio:.2f}x"


def pairs(first: Sequence[Figures], second: Sequence[Figures]) -> list[Pair]:
    """The rows of both, paired by operation and model, in the first's order."""
    others = {(row.operation, row.model): row for row in second}
    found = [Pair(first=row, second=others.pop((row.operation, row.model), None)) for row in first]
    found += [Pair(first=None, second=row) for row in others.values()]
    return _with_replaced_models(found)


def _with_replaced_models(found: list[Pair]) -> list[Pair]:
    """Pairs the models of an operation that are left over, if each recording has just one: the second replaced the first."""
    joined: list[Pair] = []
    for pair in found:
        alone = [other for other in found if other.operation == pair.operation and not (other.first and other.second)]
        if pair not in alone or [bool(other.first) for other in alone] != [True, False]:
            joined.append(pair)
        elif pair.first:
            joined.append(Pair(first=pair.first, second=alone[1].second))
    return joined


def compared(pair: Pair) -> Iterator[ComparedFigure]:
    """Every figure that is known of at least one recording."""
    for key, name, figure, written in _FIGURES:
        first, second = (figure(row) if row else None for row in (pair.first, pair.second))
        if first is not None or second is not None:
            yield ComparedFigure(key=key, name=name, first=first, second=second, format=written)


def _percentile_at(times: Callable[[Figures], Percentiles | None], place: int) -> Callable[[Figures], float | None]:
    def figure(row: Figures) -> float | None:
        found = times(row)
        return found.values[place] if found else None

    return figure


_TIMES: Final[tuple[tuple[str, str, Callable[[Figures], Percentiles | None]], ...]] = (
    ("duration", "duration", lambda row: row.duration),
    ("time_to_first_token", "first token", lambda row: row.first_token),
    ("time_to_first_chunk", "first chunk", lambda row: row.first_chunk),
    ("inter_chunk_latency", "inter-chunk", lambda row: row.inter_chunk),
    ("time_per_output_token", "per output token", lambda row: row.per_output_token),
)
"""(key, name, the times of a row)"""

_FIGURES: Final[tuple[tuple[str, str, Callable[[Figures], float | None], Callable[[float], str]], ...]] = (
    ("calls", "calls", lambda row: row.calls, count),
    ("errors", "errors", lambda row: row.errors, count),
    ("input_tokens", "tokens in", lambda row: row.input_tokens.count if row.input_tokens else None, count),
    ("output_tokens", "tokens out", lambda row: row.output_tokens.count if row.output_tokens else None, count),
    ("output_tokens_per_second_of_a_call", "tokens out/s a call", lambda row: row.output_rate, rate),
    ("output_tokens_per_second_in_all", "tokens out/s in all", lambda row: row.throughput, rate),
    *(
        (f"{key}_p{percent}", f"{name} p{percent}", _percentile_at(times, place), seconds)
        for key, name, times in _TIMES
        for place, percent in enumerate(PERCENTS)
    ),
)
"""(key, name, the figure of a row, its format)"""
