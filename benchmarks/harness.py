"""Runs cells: a fresh process for each, all cells of a round in turn and in changing order, many rounds.

A figure is compared with another of its own round, so a drift of the machine's speed does not matter. Printed are the median and the
quartiles over the rounds.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Cell:
    """A script of this folder with its arguments, in one Python. It prints a number."""

    script: str
    arguments: tuple[str, ...] = ()
    python: str = sys.executable

    def run(self, seed: int) -> float:
        """One measurement. `seed` is the hash seed: the speed of dictionaries depends on it a little."""
        done = subprocess.run(
            [self.python, HERE / self.script, *self.arguments],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return float(done.stdout)


@dataclass(frozen=True)
class Spread:
    """One figure over all rounds."""

    median: float
    low: float
    """The first quartile."""
    high: float
    """The third quartile."""

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """The spread of at least two rounds."""
        low, median, high = statistics.quantiles(figures, n=4, method="inclusive")
        return cls(median, low, high)

    def show(self, digits: int) -> str:
        """`1.18 (1.17 .. 1.20)`."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} .. {self.high:.{digits}f})"


def measure(cells: Iterable[Cell], rounds: int) -> dict[Cell, list[float]]:
    """One figure per round for every cell, interleaved. Reports its progress on stderr."""
    figures: dict[Cell, list[float]] = {cell: [] for cell in cells}
    started = time.monotonic()
    for seed in range(rounds):
        order = list(figures)
        random.Random(seed).shuffle(order)
        for cell in order:
            figures[cell].append(cell.run(seed))
        passed = time.monotonic() - started
        left = passed / (seed + 1) * (rounds - seed - 1)
        print(f"\rround {seed + 1} of {rounds}, {left:.0f} s to go ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return figures


def added(figures: Sequence[float], bare: Sequence[float]) -> Spread:
    """The difference to the cell without instrumentation, in the figures' unit."""
    return Spread.of([figure - without for figure, without in zip(figures, bare, strict=True)])


def ratio(figures: Sequence[float], bare: Sequence[float]) -> Spread:
    """The ratio to the cell without instrumentation."""
    return Spread.of([figure / without for figure, without in zip(figures, bare, strict=True)])
