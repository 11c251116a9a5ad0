"""The metrics of a vintage, of model servers and of engines, with their buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docs.generate.example_calls import reports, streamed, whole
from docs.generate.markdown import code, table
from otel_genai.semconv import gen_ai
from otel_genai.semconv.metrics import (
    BATCH_BUCKETS,
    DURATION_BUCKETS,
    ENGINE_METRICS,
    FIRST_TOKEN_BUCKETS,
    LATEST,
    OUTPUT_TOKEN_BUCKETS,
    PHASE_BUCKETS,
    TOKEN_BUCKETS,
    V1_41,
)
from tests.support.openai.all_surfaces import SURFACES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from docs.generate.example_calls import Report
    from otel_genai.semconv.metrics import EngineMetric, Metric, Vintage

_BUCKET_LETTERS = {
    (): "",
    BATCH_BUCKETS: "B",
    DURATION_BUCKETS: "D",
    FIRST_TOKEN_BUCKETS: "F",
    OUTPUT_TOKEN_BUCKETS: "P",
    PHASE_BUCKETS: "E",
    TOKEN_BUCKETS: "T",
}


def call_metrics(vintage: Vintage) -> Iterator[str]:
    """The metrics of a client's calls, and the surfaces that record each."""
    common = _common_attributes()
    rows = {metric.name: metric for metric in vintage.metrics if not metric.served}  # one name may have several rows

    def row(metric: Metric) -> Iterator[str]:
        found = [report for report in reports(vintage) if metric.name in report.metrics]
        names = set[str]().union(*(report.metrics[metric.name][0] for report in found))
        yield from _description(metric)
        yield _surfaces_of(found)
        yield code(sorted(names - common))

    header = ("Metric", "Meaning", "Instrument", "Unit", "Buckets", "Recorded for", "Attributes beside the common ones")
    return table(header, map(row, rows.values()))


def server_metrics() -> Iterator[str]:
    """The conventions' metrics of a model server."""
    return _plain_metrics([row for row in V1_41.metrics if row.served and row.name.startswith("gen_ai.")])


def engine_metrics() -> Iterator[str]:
    """The metrics of an engine, in our own namespace."""
    durations = [row for row in V1_41.metrics if row.served and not row.name.startswith("gen_ai.")]
    return _plain_metrics([*ENGINE_METRICS, *durations])


def _plain_metrics(metrics: Sequence[Metric | EngineMetric]) -> Iterator[str]:
    return table(("Metric", "Meaning", "Instrument", "Unit", "Buckets"), map(_description, metrics))


def _description(metric: Metric | EngineMetric) -> Iterator[str]:
    yield f"`{metric.name}`"
    yield metric.description
    yield metric.kind.value
    yield f"`{metric.unit}`"
    yield _BUCKET_LETTERS[metric.buckets]


def _common_attributes() -> frozenset[str]:
    return frozenset.intersection(
        *(
            names
            for vintage in (V1_41, LATEST)
            for report in reports(vintage)
            if report.outcome is whole
            and {gen_ai.REQUEST_MODEL, gen_ai.RESPONSE_MODEL} <= report.span.attributes.keys()
            for names, _ in report.metrics.values()
        )
    )


def _surfaces_of(found: list[Report]) -> str:
    complete = [report.surface.name for report in found if report.outcome is whole]
    streams = [report.surface.name for report in found if report.outcome is streamed]
    if len(complete) == len(SURFACES):
        return "all"
    if not complete:
        return "streams: " + ", ".join(streams)
    return ", ".join([*complete, *(f"{name} (streamed)" for name in streams if name not in complete)])


def buckets() -> Iterator[str]:
    """The attributes that all metrics have, and the bounds of their buckets."""

    def bounds(values: Iterable[float]) -> str:
        return ", ".join(f"{bound:g}" for bound in values)

    yield f"- Common attributes: {code(sorted(_common_attributes()))}, as far as they are known."
    yield f"- Buckets D, in seconds: {bounds(DURATION_BUCKETS)}."
    yield f"- Buckets E, in seconds: {bounds(PHASE_BUCKETS)}."
    yield f"- Buckets F, in seconds: {bounds(FIRST_TOKEN_BUCKETS)}."
    yield f"- Buckets P, in seconds: {bounds(OUTPUT_TOKEN_BUCKETS)}."
    yield f"- Buckets B, in tokens: {', '.join(map(str, BATCH_BUCKETS))}."
    yield f"- Buckets T, in tokens: {', '.join(map(str, TOKEN_BUCKETS))}."


def schemas() -> Iterator[str]:
    """The schema URL of each vintage."""
    yield f"- Spans, events and the latest metrics: `{LATEST.schema_url}`."
    yield f"- Metrics of v1.41: `{V1_41.schema_url}`."
