"""The figures of a recording, for each operation and model. Terminal, JSON, CSV and page all show these."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final

from otel_genai.operation import time_per_output_token
from otel_genai.recording.analysis.summary import Tokens, percentile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_genai.recording.file.records import RecordedOperation

PERCENTS: Final = (50, 90, 95, 99)
"""The percentiles of every set of times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """The percentiles of a set of times in seconds, interpolated between the two nearest."""

    count: int
    """The number of times."""
    p50: float
    p90: float
    p95: float
    p99: float

    @property
    def values(self) -> tuple[float, ...]:
        """The percentiles in the order of `PERCENTS`."""
        return (self.p50, self.p90, self.p95, self.p99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one model in one operation; `None` if unknown."""

    operation: str
    model: str | None
    calls: int
    errors: int
    unfinished: int
    """Calls that were open when their process ended."""
    duration: Percentiles | None
    """Over all calls, failed and unfinished ones included: their callers waited, too."""
    first_token: Percentiles | None
    """From the start to the first generated output, over operations that report it."""
    first_chunk: Percentiles | None
    """From the start to the first chunk of any kind, over streams."""
    inter_chunk: Percentiles | None
    """Gaps between the chunks of a stream, from the first chunk to the last."""
    per_output_token: Percentiles | None
    """(last token - first token) / (output tokens - 1), over operations that report both."""
    input_tokens: Tokens | None
    output_tokens: Tokens | None
    output_rate: float | None
    """Output tokens per second of a call, over successful calls that report their tokens."""
    throughput: float | None
    """Output tokens per second of wall clock, from the start of the first call to the end of the last."""


def figures(operations: Iterable[RecordedOperation]) -> list[Figures]:
    """The figures for each operation and model, the most called first."""
    rows: dict[tuple[str, str | None], list[RecordedOperation]] = {}
    for operation in operations:
        rows.setdefault((operation.operation, operation.model), []).append(operation)
    found = [_row(*key, calls) for key, calls in rows.items()]
    return sorted(found, key=lambda row: -row.calls)


def per_output_token(operation: RecordedOperation) -> float | None:
    """Seconds per token after the first; `None` unless the first token is known and two or more are counted."""
    first = operation.first_token
    if first is None or not operation.chunks:
        return None
    sequences = len(operation.response.get("finish_reasons", ())) or 1
    return time_per_output_token(_last_token(operation) - first, operation.usage.get("output"), sequences)


def _last_token(operation: RecordedOperation) -> float:
    # The last chunks may carry no token, but a finish reason or the usage.
    for arrived, tokens in zip(reversed(operation.chunks), reversed(operation.tokens), strict=False):
        if tokens:
            return arrived
    return operation.chunks[-1]


def _row(operation: str, model: str | None, calls: Sequence[RecordedOperation]) -> Figures:
    succeeded = [call for call in calls if call.error is None and "output" in call.usage]
    generated = sum(call.usage["output"] for call in succeeded)
    generating = sum(call.duration for call in succeeded)
    began = min(call.began_ns for call in calls)
    lasted = max((call.began_ns - began) / 1e9 + call.duration for call in calls)
    output = _tokens(calls, "output")
    return Figures(
        operation=operation,
        model=model,
        calls=len(calls),
        errors=sum(call.error is not None for call in calls),
        unfinished=sum(call.unfinished for call in calls),
        duration=_percentiles(call.duration for call in calls),
        first_token=_percentiles(_known(call.first_token for call in calls)),
        first_chunk=_percentiles(call.chunks[0] for call in calls if call.chunks),
        inter_chunk=_percentiles(chain.from_iterable(_gaps(call) for call in calls)),
        per_output_token=_percentiles(_known(map(per_output_token, calls))),
        input_tokens=_tokens(calls, "input"),
        output_tokens=output,
        output_rate=generated / generating if generating else None,
        throughput=output.count / lasted if output and lasted else None,
    )


def _gaps(operation: RecordedOperation) -> Iterable[float]:
    return (later - earlier for earlier, later in pairwise(operation.chunks))


def _known(values: Iterable[float | None]) -> Iterable[float]:
    return (value for value in values if value is not None)


def _percentiles(values: Iterable[float]) -> Percentiles | None:
    ordered = sorted(values)  # once: sorting a sorted list takes no time
    p50, p90, p95, p99 = (percentile(ordered, percent / 100) for percent in PERCENTS)
    if p50 is None or p90 is None or p95 is None or p99 is None:
        return None
    return Percentiles(count=len(ordered), p50=p50, p90=p90, p95=p95, p99=p99)


def _tokens(calls: Sequence[RecordedOperation], kind: str) -> Tokens | None:
    counts = [call.usage[kind] for call in calls if kind in call.usage]
    if not counts:
        return None
    # Nobody pays for a failed call, so a missing count leaves no gap.
    return Tokens(count=sum(counts), complete=all(kind in call.usage or call.error is not None for call in calls))
