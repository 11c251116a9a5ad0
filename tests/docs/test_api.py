"""docs/api.md: which modules are public, and that their names are documented and are the ones that the documentation uses."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import INVALID_SPAN

import otel_genai
from docs.generate.api import PUBLIC_MODULES, docstring, exports, source_of
from otel_genai.telemetry import observers

ROOT = Path(__file__).parents[2]
WITHIN_THE_PACKAGE = {"adding-a-provider.md", "architecture.md"}
"""Pages about the package's own source."""
ALIASES = {"Part", "__all__", "__version__", "Observer"}


def python_of(path: Path) -> list[str]:
    """The Python programs in a file: the file itself, or the code blocks of a page."""
    text = path.read_text(encoding="utf-8")
    return [text] if path.suffix == ".py" else re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def imported_modules(program: str) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
    return {name for name in modules if name.partition(".")[0] == "otel_genai"}


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_a_public_module_names_what_it_exports(module: str) -> None:
    imported = import_module(module)
    assert sorted(imported.__all__) == sorted(exports(module))
    assert [name for name in imported.__all__ if not hasattr(imported, name)] == []


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_every_public_name_is_documented(module: str) -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for name in exports(module):
        if name != "__version__":
            assert f"`{name}`" in page or f"`{module}.{name}`" in page, name
        if name not in ALIASES:
            assert docstring(source_of(module, name), name), name


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.py")],
    ids=lambda path: path.name,
)
def test_documentation_and_examples_import_public_modules_only(path: Path) -> None:
    if path.name not in WITHIN_THE_PACKAGE:
        imported = set[str]().union(*map(imported_modules, python_of(path)))
        assert imported <= PUBLIC_MODULES.keys()


def test_the_imports_of_a_page_are_found() -> None:
    assert imported_modules("import otel_genai\nfrom otel_genai.call import call\nimport openai\n") == {
        "otel_genai",
        "otel_genai.call",
    }
    assert python_of(ROOT / "README.md")


def test_the_example_prints_slow_streams(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"## Example\n\n```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    try:
        for first_token in (1.75, 0.5, None):
            observers.notify(
                otel_genai.Operation(
                    request=otel_genai.Request(operation="chat", provider="openai", model="gpt-5-mini"),
                    timing=otel_genai.Timing(began_ns=0, started=0.0, ended=3.0, first_token=first_token),
                ),
                INVALID_SPAN,
            )
    finally:
        names["stop"]()
        otel_genai.uninstrument()
    assert capsys.readouterr().out == f"gpt-5-mini: 1.8 s, trace {'0' * 32}\n"
