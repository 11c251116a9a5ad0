"""The package's own source as syntax trees, and the imports between its modules."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import otel_genai

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(otel_genai.__file__).parent
"""Folder of the package."""
TESTS: Final = Path(__file__).parents[1]
"""Folder of the tests."""


def module_name(path: Path) -> str:
    """The dotted name of a file of the package, without `otel_genai`; a package's `__init__.py` has the package's name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES: Final[Mapping[str, ast.Module]] = {module_name(path): ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}
"""Every module of the package by its name; the package itself is `""`."""
PACKAGES: Final = frozenset(module_name(path) for path in ROOT.rglob("__init__.py"))
"""Which of them are packages."""


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name."""

    module: str
    """As it is written after `from` or `import`."""
    name: str | None = None
    """As it is written after `from … import`."""

    @property
    def path(self) -> str:
        """`module.name`, whether the name is a module or not."""
        return self.module if self.name is None else f"{self.module}.{self.name}"


def imports(tree: ast.AST) -> Iterator[Import]:
    """Every import, wherever it stands: at the top, in a function, or for annotations only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (Import(node.module or "", alias.name) for alias in node.names)


def runtime_imports(tree: ast.AST) -> Iterator[Import]:
    """The same without those that stand under `if TYPE_CHECKING`."""
    yield from imports(_WithoutTyping().visit(ast.parse(ast.unparse(tree))))


class _WithoutTyping(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST:
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return ast.Pass()
        return self.generic_visit(node)


def imported_modules(tree: ast.AST) -> set[str]:
    """The modules of this package that a tree imports, by the names in `TREES`."""
    found = set()
    for each in imports(tree):
        for path in (each.path, each.module):
            name = path.removeprefix("otel_genai").removeprefix(".")
            if path.partition(".")[0] == "otel_genai" and name in TREES:
                found.add(name)
                break
    return found


def modules_that_import(prefix: str, *, at_runtime: bool = False) -> set[str]:
    """The modules that import a module or what is in it."""
    return {
        name
        for name, tree in TREES.items()
        if any(
            each.path == prefix or each.path.startswith(f"{prefix}.")
            for each in (runtime_imports(tree) if at_runtime else imports(tree))
        )
    }


def outside(names: set[str], *places: str) -> set[str]:
    """The names that are in none of these modules and packages."""
    return {name for name in names if not any(name == place or name.startswith(f"{place}.") for place in places)}


def strings(tree: ast.AST) -> Iterator[str]:
    """String literals that are not docstrings."""
    documented = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that reach each other by imports (strongly connected components, Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group: list[str] = []
            while group[-1:] != [name]:
                group.append(stack.pop())
            if len(group) > 1 or name in graph[name]:
                found.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return sorted(found)
