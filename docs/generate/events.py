"""The events, and the attributes of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from docs.generate.example_calls import reports
from docs.generate.markdown import code, table
from otel_genai.semconv import gen_ai
from otel_genai.semconv.metrics import V1_41
from tests.support.openai.all_surfaces import SURFACES

if TYPE_CHECKING:
    from collections.abc import Iterator

EMITTED_WHEN: Final = {
    gen_ai.DETAILS_EVENT: "an inference ends, its span is recorded, and events are on (`OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT`)",
    gen_ai.EXCEPTION_EVENT: "an operation fails and its span is recorded",
}
"""Event → when it is emitted."""


def events() -> Iterator[str]:
    """A row an event."""

    def row(name: str, when: str) -> Iterator[str]:
        found = [report for report in reports(V1_41) if name in report.events]
        names = set[str]().union(*(report.events[name].attributes for report in found))
        surfaces = dict.fromkeys(report.surface.name for report in found)
        as_span = all(report.events[name].attributes.keys() == report.span.attributes.keys() for report in found)
        yield f"`{name}`"
        yield when
        yield found[0].events[name].severity_number.name
        yield "all" if len(surfaces) == len(SURFACES) else ", ".join(surfaces)
        yield "those of the span; content is structured" if as_span else code(sorted(names))

    return table(
        ("Event", "Emitted when", "Severity", "For", "Attributes"), (row(*item) for item in EMITTED_WHEN.items())
    )
