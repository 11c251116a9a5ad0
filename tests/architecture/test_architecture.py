"""The rooms and what may stand in them: the invariants of docs/architecture.md, read off the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import otel_genai

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(otel_genai.__file__).parent
PROVIDER_LIBRARIES = {"openai", "transformers", "torch", "vllm"}
# A server that people start, and the runner: built from the package, not part of the instrumentation.
AROUND = ("runner", "simulator", "recording", "cli", "__main__")


def room(path: Path) -> str:
    """`instrumentors/openai/chat.py` → `instrumentors.openai.chat`; a folder's own file is the folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


ROOMS = {room(path): ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, wherever and for whatever reason."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the room"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_that_import(prefix: str) -> set[str]:
    return {
        name
        for name, tree in ROOMS.items()
        if any(module == prefix or module.startswith(prefix + ".") for module in imports(tree))
    }


def within(names: set[str], *allowed: str) -> set[str]:
    """The names that are in none of the allowed rooms."""
    return {name for name in names if not any(name == room or name.startswith(room + ".") for room in allowed)}


def strings(tree: ast.AST) -> Iterator[str]:
    """String literals that are not docstrings."""
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value


def test_names_of_the_conventions_live_in_semconv_only() -> None:
    prefixes = (
        "gen_ai.",
        "openai.api",
        "openai.request",
        "openai.response",
        "server.address",
        "server.port",
        "error.type",
    )
    found = {name for name, tree in ROOMS.items() if any(text.startswith(prefixes) for text in strings(tree))}
    # The settings' documentation names the event that they switch.
    assert within(found, "semconv", "config", *AROUND) == set()
    assert "semconv.gen_ai" in found


def test_only_the_runner_knows_the_sdk_and_exporters() -> None:
    assert within(rooms_that_import("opentelemetry.sdk"), "runner") == set()
    assert within(rooms_that_import("opentelemetry.exporter"), "runner") == set()


def test_opentelemetry_is_known_in_few_rooms() -> None:
    found = within(rooms_that_import("opentelemetry"), "runner")
    assert found == {
        "telemetry.telemetry",
        "telemetry.observers",
        "call.call",
        "call.native",
        "call.propagation",
        "instrumentors",
        "instrumentors.instrumentor",
    }


def test_wrapt_is_known_where_things_are_wrapped() -> None:
    assert rooms_that_import("wrapt") == {"call.patching", "call.stream"}


def test_semconv_imports_nothing_from_above() -> None:
    for name, tree in ROOMS.items():
        if name.startswith("semconv"):
            own = {module for module in imports(tree) if module.startswith("otel_genai")}
            assert within(own, "otel_genai.semconv") == set()


def test_the_vocabulary_needs_the_standard_library_alone() -> None:
    for name in ("operation", "endpoint", "endpoint.rows"):
        outside = {module.partition(".")[0] for module in imports(ROOMS[name])} - sys.stdlib_module_names
        assert outside <= {"otel_genai"}


def test_provider_rooms_import_the_vocabulary_and_the_bridge_only() -> None:
    allowed = {"operation", "endpoint", "instrumentors", "semconv"}
    chosen_by_the_user = {"config"}  # a room whose rows are a setting
    bridge = {"instrumentors.instrumentor", "instrumentors.wishes", "instrumentors.arrival"}
    for name, tree in ROOMS.items():
        if name.startswith("instrumentors.") and name not in bridge:
            packages = {module.partition(".")[0] for module in imports(tree)} - sys.stdlib_module_names
            assert packages <= {"otel_genai"}, name
            ours = {module.split(".")[1] for module in imports(tree) if module.startswith("otel_genai.")}
            assert ours <= (allowed | chosen_by_the_user if name == "instrumentors.functions" else allowed), name


def test_no_room_imports_an_instrumented_library() -> None:
    for library in PROVIDER_LIBRARIES:
        assert rooms_that_import(library) == set()


def test_the_environment_is_read_in_two_rooms() -> None:
    readers = {
        name
        for name, tree in ROOMS.items()
        if any(
            isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"} and ast.unparse(node.value) == "os"
            for node in ast.walk(tree)
        )
    }
    assert within(readers, "config", *AROUND) == set()


def calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr


def test_one_room_writes_telemetry() -> None:
    for method in ("record", "set_attributes", "set_attribute", "set_status", "emit"):
        writers = {name for name, tree in ROOMS.items() if method in set(calls(tree))}
        assert within(writers, "telemetry", "runner", "recording", "simulator") == set(), method
    enders = {
        name
        for name, tree in ROOMS.items()
        if "span.end" in {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    }
    assert enders == {"telemetry.telemetry"}


def test_one_room_reads_what_is_private_to_the_sdk() -> None:
    private = {"_measurement_consumer", "_reader_storages", "_instrument_view_instrument_matches", "_aggregation"}
    readers = {
        name
        for name, tree in ROOMS.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in private
    }
    assert readers == {"telemetry.bound"}


def test_only_the_guard_swallows() -> None:
    broad = {
        name
        for name, tree in ROOMS.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and not _asks_the_guard(node)
        and ast.unparse(node.body[-1]) != "raise"
    }
    assert within(broad, *AROUND) == set()


def _asks_the_guard(handler: ast.ExceptHandler) -> bool:
    return re.fullmatch(r"if not [A-Z_]+\.takes\(error\):\n    raise", ast.unparse(handler.body[0])) is not None


def test_the_life_of_a_call_knows_the_clocks() -> None:
    assert within(rooms_that_import("time"), "call", "telemetry.process_start", *AROUND) == set()


def test_no_room_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "common", "types", "base", "misc"}
    assert not {name for name in ROOMS if name.rpartition(".")[2] in drawers}


def test_the_top_level_reads_like_a_table_of_contents() -> None:
    entries = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert entries == {
        "__init__", "__main__", "cli", "config", "version", "guard", "operation", "endpoint", "call", "telemetry",
        "semconv", "instrumentors", "runner", "recording", "simulator",
    }  # fmt: skip


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    assert not {path.name for path in ROOT.rglob("*.py") if len(path.read_text().splitlines()) > 400}


def test_public_names_are_exactly_these() -> None:
    assert otel_genai.__all__ == ["__version__", "instrument", "observe", "uninstrument"]
    assert all(hasattr(otel_genai, name) for name in otel_genai.__all__)


@pytest.mark.parametrize("statement", ["import otel_genai", "import otel_genai; otel_genai.instrument()"])
def test_no_instrumented_library_is_imported_for_our_sake(statement: str) -> None:
    script = f"import sys; {statement}; print(*sorted(set(sys.modules) & {PROVIDER_LIBRARIES | {'grpc', 'rich', 'opentelemetry.sdk'}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
