"""How it is measured: a fresh process a cell, the cells of a round one after the other in an order that changes, many rounds.

A figure is compared with the one of its own round, so that a machine whose speed drifts does not matter; the median and the quartiles
of what the rounds say are what is printed.
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
        """One measurement. `seed` is that of the hashes, by which the speed of dictionaries differs a little."""
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
    """What the rounds say about one figure."""

    median: float
    low: float
    """A quarter of the rounds say less."""
    high: float
    """A quarter of the rounds say more."""

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """Of at least two rounds."""
        low, median, high = statistics.quantiles(figures, n=4, method="inclusive")
        return cls(median, low, high)

    def show(self, digits: int) -> str:
        """`1.18 (1.17 .. 1.20)`."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} .. {self.high:.{digits}f})"


def measure(cells: Iterable[Cell], rounds: int) -> dict[Cell, list[float]]:
    """A figure a round of every cell, all interleaved. Says on stderr how far it is."""
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
    """What is more than without, in the figures' unit."""
    return Spread.of([figure - without for figure, without in zip(figures, bare, strict=True)])


def ratio(figures: Sequence[float], bare: Sequence[float]) -> Spread:
    """How many times of what it is without."""
    return Spread.of([figure / without for figure, without in zip(figures, bare, strict=True)])
