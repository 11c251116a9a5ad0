"""Exact figures for a run: calls, errors, times and tokens for each operation and model, in bounded memory.

Adding an operation never waits, whoever calls it: another thread, or a finalizer in the middle of an addition.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_genai.operation import Operation

KEPT_CALLS: Final = 10_000
"""For each row; older calls still count, but their times are forgotten."""
KEPT_ROWS: Final = 100
"""Further models share one row: a server whose callers name models freely must not grow with their fancy."""
OTHER_MODELS: Final = "(other models)"

_BATCH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A sum of tokens as the provider counted them."""

    count: int
    complete: bool
    """False if some successful calls did not tell, so that there were at least this many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the summary. Times are in seconds; `None` where nothing is known."""

    operation: str
    model: str | None
    calls: int
    errors: int
    duration_p50: float | None
    """Over all calls, failed ones included: what callers waited."""
    duration_p95: float | None
    first_token_p50: float | None
    """Over calls that tell it: streams, and those of an engine in this process."""
    input_tokens: Tokens | None
    output_tokens: Tokens | None
    output_rate: float | None
    """Output tokens per second, over successful calls that told their tokens."""


@dataclass(frozen=True, slots=True)
class _Call:
    """What is kept of one operation: no content, so that the operation itself can go."""

    operation: str
    model: str | None
    failed: bool
    duration: float
    first_token: float | None
    input: int | None
    output: int | None


@dataclass(slots=True)
class _Sum:
    """A sum of what was told, and whether all who should have told did."""

    told: int | None = None
    complete: bool = True

    def add(self, tokens: int | None, *, due: bool) -> None:
        if tokens is not None:
            self.told = (self.told or 0) + tokens
        elif due:
            self.complete = False

    def tokens(self) -> Tokens | None:
        return None if self.told is None else Tokens(count=self.told, complete=self.complete)


@dataclass(slots=True)
class _Figures:
    """The running figures of one row."""

    calls: int = 0
    errors: int = 0
    durations: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_CALLS))
    first_tokens: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_CALLS))
    input: _Sum = field(default_factory=_Sum)
    output: _Sum = field(default_factory=_Sum)
    generated: int = 0
    generating: float = 0.0

    def add(self, call: _Call) -> None:
        self.calls += 1
        self.errors += call.failed
        self.durations.append(call.duration)
        if call.first_token is not None:
            self.first_tokens.append(call.first_token)
        # A failed call used no tokens that anyone charged for; that it tells none leaves no gap.
        self.input.add(call.input, due=not call.failed)
        self.output.add(call.output, due=not call.failed)
        if call.output is not None and not call.failed:
            self.generated += call.output
            self.generating += call.duration

    def row(self, operation: str, model: str | None) -> Row:
        return Row(
            operation=operation,
            model=model,
            calls=self.calls,
            errors=self.errors,
            duration_p50=percentile(self.durations, 0.50),
            duration_p95=percentile(self.durations, 0.95),
            first_token_p50=percentile(self.first_tokens, 0.50),
            input_tokens=self.input.tokens(),
            output_tokens=self.output.tokens(),
            output_rate=self.generated / self.generating if self.generating else None,
        )


class Summary:
    """Gathers finished operations, from any thread."""

    def __init__(self) -> None:
        self._arrived: deque[_Call] = deque()
        self._counting = threading.Lock()
        self._figures: dict[tuple[str, str | None], _Figures] = {}

    def add(self, operation: Operation) -> None:
        """Take in one operation; keeps nothing of its content."""
        request, response, timing = operation.request, operation.response, operation.timing
        usage = response.usage
        self._arrived.append(
            _Call(
                request.operation,
                response.model or request.model,
                operation.failure is not None,
                timing.duration,
                timing.time_to_first_token,
                usage.input if usage else None,
                usage.output if usage else None,
            )
        )
        # Appending is atomic. Whoever finds the lock free counts for everyone; whoever does not leaves it to the next.
        if len(self._arrived) >= _BATCH and self._counting.acquire(blocking=False):
            try:
                self._count()
            finally:
                self._counting.release()

    def rows(self) -> list[Row]:
        """The figures so far, the operations called most first."""
        # Bounded, because a signal may have struck a thread that was counting and will never go on.
        if self._counting.acquire(timeout=1):
            try:
                self._count()
            finally:
                self._counting.release()
        rows = [figures.row(*key) for key, figures in list(self._figures.items())]
        return sorted(rows, key=lambda row: -row.calls)

    def _count(self) -> None:
        while self._arrived:
            call = self._arrived.popleft()
            key = (call.operation, call.model)
            if key not in self._figures and len(self._figures) >= KEPT_ROWS:
                key = (call.operation, OTHER_MODELS)
            self._figures.setdefault(key, _Figures()).add(call)


def percentile(values: Iterable[float], share: float) -> float | None:
    """The exact percentile, interpolated between the two nearest values; `None` of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
