"""Private names of OpenTelemetry: docs/private-apis.md lists every one that the package uses, and no other."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.support.source_tree import ROOT, TREES, imports, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT.parents[1] / "docs" / "private-apis.md"
PRIVATE = re.compile(r"_[A-Za-z]\w*")
OTHERS = {
    "_logs",  # the only name of OpenTelemetry's logs API and SDK, which are not declared stable
    "_replace",  # of named tuples, documented by Python
    "_is_gil_enabled",  # of `sys`, documented by Python
}
ROW = re.compile(r"^\| `(?P<file>[\w/]+\.py)` \| (?P<names>`.+?`) \|", re.MULTILINE)


def test_every_private_name_that_is_used_is_on_the_page_and_the_other_way_round() -> None:
    used = {(name, private) for name, tree in TREES.items() for private in private_names(tree)}
    listed = {
        (row["file"].removesuffix(".py").replace("/", "."), private)
        for row in ROW.finditer(PAGE.read_text(encoding="utf-8"))
        for private in re.findall(r"`(\w+)`", row["names"])
    }
    assert used - listed == set()
    assert listed - used == set()


def test_every_way_of_using_a_private_name_is_found() -> None:
    source = """
from opentelemetry.sdk._configuration import _Configurator
from opentelemetry._logs import LogRecord
import opentelemetry.util._once
NAMES = (("opentelemetry.trace", "_SET_ONCE"),)
PATH = "opentelemetry.context._RUNTIME_CONTEXT"
def read(self, histogram, logs):
    self._own = 1
    return histogram._consumer._storages, getattr(histogram, "_real"), other._own, histogram.__class__, logs._logs
"""
    assert private_names(ast.parse(source)) == {
        "_configuration", "_Configurator", "_once", "_SET_ONCE", "_RUNTIME_CONTEXT", "_consumer", "_storages", "_real",
    }  # fmt: skip


def test_a_module_without_opentelemetry_has_none() -> None:
    assert private_names(ast.parse("def read(library):\n    return library._engine")) == set()


def private_names(tree: ast.Module) -> set[str]:
    """The private names of OpenTelemetry in a module: imported, read from objects, or written as strings."""
    paths = [each.path for each in imports(tree)]
    texts = {*strings(tree)} - {*_pieces_of_f_strings(tree)}
    if not any("opentelemetry" in text for text in (*paths, *texts)):
        return set()
    found = {part for path in paths if path.startswith("opentelemetry") for part in path.split(".")}
    found |= {part for text in texts if re.fullmatch(r"opentelemetry(\.\w+)+", text) for part in text.split(".")}
    found |= {*texts, *_attributes(tree)}
    return {name for name in found if PRIVATE.fullmatch(name)} - {*_own_names(tree), *OTHERS}


def _pieces_of_f_strings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield from (str(piece.value) for piece in node.values if isinstance(piece, ast.Constant))


def _attributes(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not node.attr.endswith("__") and ast.unparse(node.value) != "self":
            yield node.attr


def _own_names(tree: ast.Module) -> Iterator[str]:
    # A module's own objects have private names too.
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) in {"self", "cls"}
        ):
            yield node.attr
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
