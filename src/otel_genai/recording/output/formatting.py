"""Figures and names as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_genai.recording.analysis.summary import Tokens

UNKNOWN: Final = "\N{EN DASH}"


def numbered(number: int, thing: str) -> str:
    """`1 call`, `2,000 calls`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def tokens(sums: Tokens | None) -> str:
    """A sum of tokens; `≥` if some calls did not report theirs."""
    if sums is None:
        return UNKNOWN
    return count(sums.count) if sums.complete else f"≥{count(sums.count)}"


def count(value: float) -> str:
    """A count, exact up to five digits: 99,999, 124k, 1.20M."""
    if value < 99_999.5:
        return f"{value:,.0f}"
    number, unit = (value / 1e3, "k") if value < 999_500 else (value / 1e6, "M")
    return f"{_three_digits(number)}{unit}"


def rate(value: float | None) -> str:
    """A rate per second, with one decimal below 100."""
    if value is None:
        return UNKNOWN
    return f"{value:.1f}" if value < 99.95 else count(value)


def seconds(value: float | None) -> str:
    """A time with three digits, in the unit that reads best: 250 µs, 3.21 ms, 812 ms, 1.24 s, 95.1 s."""
    if value is None:
        return UNKNOWN
    if value < 0.000_999_5:
        return f"{value * 1e6:.0f} µs"
    number, unit = (value * 1e3, "ms") if value < 0.9995 else (value, "s")
    return f"{_three_digits(number)} {unit}"


def _three_digits(number: float) -> str:
    return f"{number:,.{2 if number < 9.995 else 1 if number < 99.95 else 0}f}"


def printable(name: str) -> str:
    """A name from outside, safe to print: terminals obey control characters, and encoders refuse surrogates."""
    return "".join(character if character.isprintable() else "?" for character in name)
