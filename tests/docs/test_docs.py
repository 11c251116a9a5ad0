"""The documentation against the code: its tables are what the code makes of them, it leaves nothing out, and what it refers to exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from docs.generate.attributes import MEANINGS, attribute_values
from docs.generate.events import EMITTED_WHEN
from docs.generate.example_calls import reports
from docs.generate.pages import TABLES, with_tables
from docs.generate.settings import ARGUMENTS
from otel_genai.config import SETTINGS
from otel_genai.endpoint.rows import CallRow
from otel_genai.instrumentors import options
from otel_genai.instrumentors.openai.instrumentor import OpenAIInstrumentor
from otel_genai.semconv import gen_ai, general, openai, otel_genai
from otel_genai.semconv.metrics import ENGINE_METRICS, LATEST, V1_41
from tests.support.openai.all_surfaces import SURFACES

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMESPACES = (gen_ai, general, openai, otel_genai)


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def names_in(namespace: ModuleType) -> set[str]:
    """The attributes and events that a module names; values have no dot."""
    found = {value for constant, value in vars(namespace).items() if constant.isupper() and "." in str(value)}
    return {name.replace("{}", "<phase>" if namespace is otel_genai else "<modality>") for name in found}


# ── tables ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_tables_are_what_the_code_makes_of_them(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == with_tables(text), "run `make docs`"


def test_every_table_is_on_a_page() -> None:
    placed = {name for path in PAGES for name in re.findall(r"<!-- table: (.+?) -->", path.read_text(encoding="utf-8"))}
    assert placed == TABLES.keys()


# ── nothing is left out ────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_setting_is_documented() -> None:
    assert [row.variable for row in SETTINGS if f"| `{row.variable}` |" not in page("configuration.md")] == []


def test_every_argument_is_documented() -> None:
    assert [*ARGUMENTS] == [*options._PROVIDERS, *options._SETTINGS]


def test_every_name_of_the_conventions_is_documented() -> None:
    names = set[str]().union(*map(names_in, NAMESPACES))
    assert {gen_ai.OPERATION_NAME, general.ERROR_TYPE, gen_ai.DETAILS_EVENT, openai.API_TYPE} <= names
    assert [name for name in sorted(names) if f"| `{name}` |" not in page("telemetry.md")] == []


def test_every_metric_is_documented() -> None:
    names = {metric.name for vintage in (V1_41, LATEST) for metric in vintage.metrics}
    names |= {metric.name for metric in ENGINE_METRICS}
    assert [name for name in sorted(names) if f"| `{name}` |" not in page("telemetry.md")] == []


def test_every_attribute_that_is_reported_has_a_meaning_and_the_other_way_round() -> None:
    assert attribute_values().keys() == MEANINGS.keys()


def test_every_event_that_is_emitted_is_documented() -> None:
    emitted = {name for vintage in (V1_41, LATEST) for report in reports(vintage) for name in report.events}
    assert emitted == EMITTED_WHEN.keys()


def test_every_endpoint_has_its_example() -> None:
    instrumented = [row.resolve() for row in OpenAIInstrumentor.rows if isinstance(row, CallRow)]
    examples = [surface.endpoint for surface in SURFACES]
    assert all(endpoint in examples for endpoint in instrumented)
    assert all(endpoint in instrumented for endpoint in examples)


# ── what is referred to exists ─────────────────────────────────────────────────────────────────────────────────────────


@cache
def functions_in(name: str) -> set[str]:
    path = ROOT / "tests" / name
    if not path.exists():
        return set()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, functions)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_test_that_is_named_exists(path: Path) -> None:
    named = re.findall(r"`(?:tests/)?([\w/]*test_\w+\.py)::(\w+)", path.read_text(encoding="utf-8"))
    assert [f"{file}::{name}" for file, name in named if name not in functions_in(file)] == []


def test_every_row_of_behaviour_names_its_test() -> None:
    rows = [line for line in page("behaviour.md").splitlines() if line.startswith("| ")]
    told = [row for row in rows if not row.startswith(("| What", "| ---"))]
    assert len(told) > 40
    assert [row for row in told if not re.search(r"`tests/[\w/]*test_\w+\.py::test_\w+` \|$", row)] == []


def anchors(text: str) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_to_a_file_of_the_repository_leads_there(path: Path) -> None:
    dead: list[str] = []
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", path.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            dead.append(link)
    assert dead == []
