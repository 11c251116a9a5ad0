"""The generated tables by name, and a page with its tables made from the code as it is.

A page is prose with marked places: `<!-- table: name -->` … `<!-- end -->`. Only the text between the marks is generated.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from docs.generate import api
from docs.generate.attributes import attributes, attributes_by_surface
from docs.generate.events import events
from docs.generate.metrics import buckets, call_metrics, engine_metrics, schemas, server_metrics
from docs.generate.providers import providers
from docs.generate.settings import arguments, settings
from docs.generate.surfaces import surfaces
from docs.generate.trip import trip
from otel_genai.semconv.metrics import LATEST, V1_41

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DOCS: Final = Path(__file__).parents[1]

TABLES: Final[Mapping[str, Callable[[], Iterator[str]]]] = {
    "surfaces": surfaces,
    "attributes": attributes,
    "attributes by surface": attributes_by_surface,
    "metrics of v1.41": partial(call_metrics, V1_41),
    "metrics of the latest": partial(call_metrics, LATEST),
    "metrics of servers": server_metrics,
    "metrics of engines": engine_metrics,
    "buckets": buckets,
    "schemas": schemas,
    "events": events,
    "providers": providers,
    "settings": settings,
    "arguments": arguments,
    "trip": trip,
    "public modules": api.modules,
    "functions": api.functions,
    "manual operations": api.manual_operations,
    "records": api.records,
    "content records": api.content_records,
    "instrumentors": api.instrumentors,
    "recording": partial(api.names, "otel_genai.recording"),
    "simulator": partial(api.names, "otel_genai.simulator"),
}

_PLACE: Final = re.compile(r"(<!-- table: (?P<name>[^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str) -> str:
    """The page, its tables generated again."""

    def generated(place: re.Match[str]) -> str:
        lines = "\n".join(TABLES[place["name"]]()).strip("\n")
        return f"{place[1]}\n{lines}\n\n{place[3]}"

    return _PLACE.sub(generated, page)
