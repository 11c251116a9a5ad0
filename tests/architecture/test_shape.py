"""Files and folders of a sane size, with names that say what is in them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.support.source_tree import PACKAGES, ROOT, TESTS, TREES

if TYPE_CHECKING:
    from pathlib import Path

MOST_LINES = 400
MOST_MODULES = 13
"""In one folder, `__init__.py` not counted."""
DRAWERS = {"utils", "util", "helpers", "helper", "common", "types", "base", "misc", "shared"}


def folders(root: Path) -> list[Path]:
    return [root, *(path for path in root.rglob("*") if path.is_dir() and path.name != "__pycache__")]


@pytest.mark.parametrize("root", [ROOT, TESTS], ids=["package", "tests"])
def test_no_file_is_longer_than_four_hundred_lines(root: Path) -> None:
    lengths = {path.relative_to(root).as_posix(): len(path.read_text().splitlines()) for path in root.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}
    assert len(lengths) > 100


@pytest.mark.parametrize("root", [ROOT, TESTS], ids=["package", "tests"])
def test_no_folder_has_more_than_thirteen_modules(root: Path) -> None:
    counts = {path: len([*path.glob("*.py")]) - (path / "__init__.py").exists() for path in folders(root)}
    assert {path.as_posix(): count for path, count in counts.items() if count > MOST_MODULES} == {}


def test_a_packages_own_file_defines_nothing() -> None:
    # It imports, and names what it exports; the package's face loads its names lazily.
    assert {package: lines for package in PACKAGES if (lines := [*_definitions(TREES[package])])} == {}


def test_a_definition_in_a_packages_own_file_is_found() -> None:
    source = (
        '"""Doc."""\nimport a\n__all__ = ["b"]\nif TYPE_CHECKING:\n    import c\nelse:\n    __getattr__ = a.b\n'
        "limit = 3\ndef f(): ...\n"
    )
    assert [*_definitions(ast.parse(source))] == ["limit = 3", "def f():\n    ..."]


def _definitions(tree: ast.Module) -> list[str]:
    return [ast.unparse(node) for node in tree.body if not _re_exports(node)]


def _re_exports(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING" and all(map(_re_exports, [*node.body, *node.orelse]))
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        return names <= {"__all__", "__getattr__", "__dir__"}
    return False


def test_no_module_is_a_drawer() -> None:
    assert not {name for name in TREES if name.rpartition(".")[2] in DRAWERS}


def test_tests_stand_where_the_module_stands() -> None:
    packages = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    others = {"architecture", "docs", "engines", "examples", "interop", "stack", "support", "typing", "schemas"}
    found = {path.name for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert found - others <= packages


def test_the_top_level_reads_like_a_table_of_contents() -> None:
    entries = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert entries == {
        "__init__", "__main__", "cli", "config", "version", "guard", "lazy_exports", "operation", "content",
        "endpoint", "semconv", "patching", "call", "http", "server", "telemetry", "instrumentors",
        "sdk", "runner", "recording", "simulator",
    }  # fmt: skip
