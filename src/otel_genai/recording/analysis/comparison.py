"""Two recordings beside each other: the same figures of both, and what the second is to the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_genai.recording.analysis.statistics import SHARES
from otel_genai.recording.output.formatting import UNKNOWN, count, rate, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_genai.recording.analysis.statistics import Figures, Percentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What one operation is in both recordings, by the same model or by its only one in each; `None` where it does not occur."""

    first: Figures | None
    second: Figures | None

    @property
    def operation(self) -> str:
        """Of both."""
        return next(row.operation for row in (self.first, self.second) if row)

    @property
    def models(self) -> tuple[str, ...]:
        """One, or two if they differ."""
        return tuple(dict.fromkeys(row.model or UNKNOWN for row in (self.first, self.second) if row))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One figure of both recordings; `None` where one does not tell it."""

    key: str
    """As the JSON names it."""
    name: str
    """As people read it."""
    first: float | None
    second: float | None
    written: Callable[[float], str]

    @property
    def ratio(self) -> float | None:
        """The second to the first; `None` if there is none."""
        return self.second / self.first if self.first and self.second is not None else None

    @property
    def texts(self) -> tuple[str, str, str]:
        """First, second and ratio."""
        one, other = (UNKNOWN if value is None else self.written(value) for value in (self.first, self.second))
        return one, other, UNKNOWN if self.ratio is None else f"{self.ratio:.2f}x"


def pairs(first: Sequence[Figures], second: Sequence[Figures]) -> list[Pair]:
    """The rows of both, each with the other's of the same operation and model, in the first's order."""
    others = {(row.operation, row.model): row for row in second}
    found = [Pair(first=row, second=others.pop((row.operation, row.model), None)) for row in first]
    found += [Pair(first=None, second=row) for row in others.values()]
    return _with_other_models(found)


def _with_other_models(found: list[Pair]) -> list[Pair]:
    """Where only one model is left over on either side for an operation, one took the other's place."""
    joined: list[Pair] = []
    for pair in found:
        alone = [other for other in found if other.operation == pair.operation and not (other.first and other.second)]
        if pair not in alone or [bool(other.first) for other in alone] != [True, False]:
            joined.append(pair)
        elif pair.first:
            joined.append(Pair(first=pair.first, second=alone[1].second))
    return joined


def compared(pair: Pair) -> Iterator[Compared]:
    """Every figure that at least one of them tells."""
    for key, name, figure, written in _FIGURES:
        first, second = (figure(row) if row else None for row in (pair.first, pair.second))
        if first is not None or second is not None:
            yield Compared(key=key, name=name, first=first, second=second, written=written)


def _figure(times: Callable[[Figures], Percentiles | None], place: int) -> Callable[[Figures], float | None]:
    def one(row: Figures) -> float | None:
        found = times(row)
        return found.values[place] if found else None

    return one


_TIMES: Final[tuple[tuple[str, str, Callable[[Figures], Percentiles | None]], ...]] = (
    ("duration", "duration", lambda row: row.duration),
    ("time_to_first_token", "first token", lambda row: row.first_token),
    ("time_to_first_chunk", "first chunk", lambda row: row.first_chunk),
    ("inter_token_latency", "inter-token", lambda row: row.inter_token),
    ("time_per_output_token", "per output token", lambda row: row.per_output_token),
)

_FIGURES: Final[tuple[tuple[str, str, Callable[[Figures], float | None], Callable[[float], str]], ...]] = (
    ("calls", "calls", lambda row: row.calls, count),
    ("errors", "errors", lambda row: row.errors, count),
    ("input_tokens", "tokens in", lambda row: row.input_tokens.count if row.input_tokens else None, count),
    ("output_tokens", "tokens out", lambda row: row.output_tokens.count if row.output_tokens else None, count),
    ("output_tokens_per_second_of_a_call", "tokens out/s a call", lambda row: row.output_rate, rate),
    ("output_tokens_per_second_in_all", "tokens out/s in all", lambda row: row.throughput, rate),
    *(
        (f"{key}_p{share}", f"{name} p{share}", _figure(times, place), seconds)
        for key, name, times in _TIMES
        for place, share in enumerate(SHARES)
    ),
)
"""(key, name, the figure of a row, how it is written)"""
