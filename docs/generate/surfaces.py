"""The surfaces of OpenAI's client: which methods are instrumented, and the span of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docs.generate.example_calls import reports, whole
from docs.generate.markdown import code, table
from otel_genai.endpoint.rows import CallRow
from otel_genai.instrumentors.openai.instrumentor import OpenAIInstrumentor
from otel_genai.semconv import gen_ai
from otel_genai.semconv.metrics import V1_41

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docs.generate.example_calls import Report
    from tests.support.openai.all_surfaces import Surface

CONTENT = frozenset(
    {gen_ai.SYSTEM_INSTRUCTIONS, gen_ai.INPUT_MESSAGES, gen_ai.TOOL_DEFINITIONS, gen_ai.OUTPUT_MESSAGES}
)
"""Attributes that carry content."""


def surfaces() -> Iterator[str]:
    """A row a surface."""

    def row(report: Report) -> Iterator[str]:
        span = report.span
        yield report.surface.name
        yield code(_methods(report.surface))
        yield f"`{span.attributes[gen_ai.OPERATION_NAME]}`"
        yield f"`{span.name}`"
        yield span.kind.name
        yield code(name.removeprefix("gen_ai.") for name in sorted(CONTENT & span.attributes.keys())) or "none"

    header = (
        "Surface",
        "Calls",
        "`gen_ai.operation.name`",
        "Span, for example",
        "Kind",
        "Content, if captured: `gen_ai.…`",
    )
    return table(header, (row(report) for report in reports(V1_41) if report.outcome is whole))


def _methods(surface: Surface) -> list[str]:
    # As an application calls them: `chat.completions.create`.
    found: dict[str, None] = {}
    for row in OpenAIInstrumentor.rows:
        if isinstance(row, CallRow) and row.resolve() is surface.endpoint:
            owner, _, method = row.target.partition(".")
            path = row.module.removeprefix("openai.resources.").split(".")
            # `responses.responses` is a file in a folder of that name; each class has an async twin.
            resource = ".".join(part for place, part in enumerate(path) if part not in path[:place])
            if not owner.startswith("Async"):
                found[f"{resource}.{method}"] = None
    return [*found, *surface.through]
