"""Exact figures for a run: calls, errors, times and tokens for each operation and model, in bounded memory.

Adding an operation never waits: it may happen in any thread, and in a finalizer that interrupts another addition.
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
"""Calls whose times are kept, for each row. Older calls still count."""
KEPT_ROWS: Final = 100
"""Rows before further models share one: the callers of a server may name any number of models."""
OTHER_MODELS: Final = "(other models)"

_BATCH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A sum of tokens as the provider counted them."""

    count: int
    complete: bool
    """False if some successful calls reported no count; the sum is a lower bound then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the summary. Times are in seconds; an unknown value is `None`."""

    operation: str
    model: str | None
    calls: int
    errors: int
    duration_p50: float | None
    """Over all calls, failed ones included: their callers waited, too."""
    duration_p95: float | None
    first_token_p50: float | None
    """Over calls that report it: streams, and calls of an engine in this process."""
    input_tokens: Tokens | None
    output_tokens: Tokens | None
    output_rate: float | None
    """Output tokens per second, over successful calls that reported their tokens."""


@dataclass(frozen=True, slots=True)
class _Call:
    """The figures of one operation, without its content."""

    operation: str
    model: str | None
    failed: bool
    duration: float
    first_token: float | None
    input: int | None
    output: int | None


@dataclass(slots=True)
class _Sum:
    """A sum of reported tokens, and whether every call that should have reported them did."""

    count: int | None = None
    complete: bool = True

    def add(self, tokens: int | None, *, expected: bool) -> None:
        if tokens is not None:
            self.count = (self.count or 0) + tokens
        elif expected:
            self.complete = False

    def tokens(self) -> Tokens | None:
        return None if self.count is None else Tokens(count=self.count, complete=self.complete)


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
        # Nobody pays for a failed call, so a missing count leaves no gap.
        self.input.add(call.input, expected=not call.failed)
        self.output.add(call.output, expected=not call.failed)
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
        self._uncounted: deque[_Call] = deque()
        self._count_lock = threading.Lock()
        self._figures: dict[tuple[str, str | None], _Figures] = {}

    def add(self, operation: Operation) -> None:
        """Count one operation. Nothing of its content is kept."""
        request, response, timing = operation.request, operation.response, operation.timing
        usage = response.usage
        self._uncounted.append(
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
        # Appending is atomic. The thread that finds the lock free counts for all; the others leave their calls to the next.
        if len(self._uncounted) >= _BATCH and self._count_lock.acquire(blocking=False):
            try:
                self._count()
            finally:
                self._count_lock.release()

    def rows(self) -> list[Row]:
        """The figures so far, the most called operations first."""
        # With a timeout: a signal handler may have interrupted the thread that holds the lock, which then never continues.
        if self._count_lock.acquire(timeout=1):
            try:
                self._count()
            finally:
                self._count_lock.release()
        rows = [figures.row(*key) for key, figures in list(self._figures.items())]
        return sorted(rows, key=lambda row: -row.calls)

    def _count(self) -> None:
        while self._uncounted:
            call = self._uncounted.popleft()
            key = (call.operation, call.model)
            if key not in self._figures and len(self._figures) >= KEPT_ROWS:
                key = (call.operation, OTHER_MODELS)
            self._figures.setdefault(key, _Figures()).add(call)


def percentile(values: Iterable[float], share: float) -> float | None:
    """The exact percentile, interpolated between the two nearest values; `None` without values. `share` is 0 to 1."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
