"""What a line of the package may do, by where it stands: the table of docs/architecture.md, read off the source."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.support.source_tree import TREES, outside, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOLS = ("sdk", "runner", "recording", "simulator", "cli", "__main__")


def test_names_of_the_conventions_stand_in_semconv_only() -> None:
    prefixes = (
        "gen_ai.",
        "openai.api",
        "openai.request",
        "openai.response",
        "server.address",
        "server.port",
        "error.type",
    )
    found = {name for name, tree in TREES.items() if any(text.startswith(prefixes) for text in strings(tree))}
    # The documentation of settings names the event that one of them switches.
    assert outside(found, "semconv", "config", *TOOLS) == set()
    assert "semconv.gen_ai" in found


def test_the_environment_is_read_in_one_module_of_the_core() -> None:
    readers = {
        name
        for name, tree in TREES.items()
        if any(
            isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"} and ast.unparse(node.value) == "os"
            for node in ast.walk(tree)
        )
    }
    assert outside(readers, *TOOLS) == {"config"}


def test_one_package_writes_telemetry() -> None:
    for method in ("record", "set_attributes", "set_attribute", "set_status", "emit"):
        writers = {name for name, tree in TREES.items() if method in set(_called_methods(tree))}
        assert outside(writers, "telemetry", "runner", "recording", "simulator") == set(), method


def test_one_module_ends_spans() -> None:
    enders = {
        name
        for name, tree in TREES.items()
        if "span.end" in {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    }
    assert enders == {"telemetry.telemetry"}


def test_only_the_guard_swallows_errors() -> None:
    broad = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and not _asks_the_guard(node)
        and ast.unparse(node.body[-1]) != "raise"
    }
    assert outside(broad, *TOOLS) == set()


def _asks_the_guard(handler: ast.ExceptHandler) -> bool:
    return re.fullmatch(r"if not [A-Z_]+\.takes\(error\):\n    raise", ast.unparse(handler.body[0])) is not None


def _called_methods(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr
