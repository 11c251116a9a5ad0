"""Who imports what: the arrows of docs/architecture.md, read off the source."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.source_tree import (
    TREES,
    circles,
    imported_modules,
    imports,
    modules_that_import,
    outside,
    runtime_imports,
    strings,
)

TOOLS = ("sdk", "runner", "recording", "simulator", "cli", "__main__")
"""What stands around the core."""
LIBRARIES = {"openai", "transformers", "torch", "vllm"}
RECORDS = {"operation", "content", "lazy_exports"}
BRIDGE = {"instrument", "activation", "import_hook", "instrumentor", "options", "registration", "versions"}
"""Modules of `instrumentors` that belong to no library."""


def test_no_two_modules_import_each_other_not_even_for_annotations() -> None:
    assert circles({name: imported_modules(tree) for name, tree in TREES.items()}) == []


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"e"}}
    assert circles(graph) == [["a", "b", "c"], ["e"]]


def test_no_import_is_relative() -> None:
    # A relative import hides the module's name from a search.
    assert not {name for name, tree in TREES.items() if any(each.module == "" for each in imports(tree))}


def test_the_core_imports_none_of_the_tools_around_it() -> None:
    core = {name: imported_modules(tree) for name, tree in TREES.items() if not _is_in(name, *TOOLS)}
    assert {
        name: tools for name, found in core.items() if (tools := {each for each in found if _is_in(each, *TOOLS)})
    } == {}


def test_the_core_names_none_of_the_tools_in_a_string() -> None:
    # An import by name is an import, too.
    tools = tuple(f"otel_genai.{tool}" for tool in TOOLS)
    found = {
        name: named
        for name, tree in TREES.items()
        if not _is_in(name, *TOOLS)
        and (
            named := {
                text
                for text in strings(tree)
                if re.fullmatch(r"otel_genai(\.\w+)+(:\w+)?", text) and text.startswith(tools)
            }
        )
    }
    assert found == {}


def test_only_the_sdk_package_imports_the_sdk_and_exporters() -> None:
    # The runner has annotations of the SDK's types.
    assert outside(modules_that_import("opentelemetry.sdk"), "sdk", "runner") == set()
    assert outside(modules_that_import("opentelemetry.sdk", at_runtime=True), "sdk") == set()
    assert outside(modules_that_import("opentelemetry.exporter"), "sdk") == set()
    assert "sdk.configure" in modules_that_import("opentelemetry.sdk")


def test_the_sdk_package_imports_nothing_of_the_package_but_itself() -> None:
    for name, tree in TREES.items():
        if _is_in(name, "sdk"):
            assert outside(imported_modules(tree), "sdk") == set(), name


def test_opentelemetry_is_imported_in_few_packages() -> None:
    found = modules_that_import("opentelemetry", at_runtime=True)
    allowed = (
        "telemetry",
        "call",
        "server",
        "instrumentors.instrument",
        "instrumentors.instrumentor",
        "instrumentors.versions",
        "sdk",
        "runner",
    )
    assert outside(found, *allowed) == set()
    assert "telemetry.telemetry" in found


def test_wrapt_is_imported_where_objects_are_wrapped() -> None:
    assert outside(modules_that_import("wrapt"), "patching", "call.stream") == set()
    assert "patching.patches" in modules_that_import("wrapt")


def test_the_conventions_import_nothing_of_the_package_but_themselves() -> None:
    for name, tree in TREES.items():
        if _is_in(name, "semconv"):
            assert outside(imported_modules(tree), "semconv") == set(), name


def test_records_need_the_standard_library_alone() -> None:
    for name in TREES:
        if name in RECORDS or _is_in(name, "endpoint"):
            packages = {each.module.partition(".")[0] for each in imports(TREES[name])} - sys.stdlib_module_names
            assert packages <= {"otel_genai"}, name
            # Rows say under which settings they apply.
            assert outside(imported_modules(TREES[name]), *RECORDS, "endpoint", "config") == set(), name
            assert "config" not in {each.module.removeprefix("otel_genai.") for each in runtime_imports(TREES[name])}


def test_a_librarys_folder_imports_records_conventions_and_the_bridge_only() -> None:
    checked = 0
    for name, tree in TREES.items():
        package, _, module = name.partition(".")
        if package != "instrumentors" or module in BRIDGE | {""}:
            continue
        checked += 1
        packages = {each.module.partition(".")[0] for each in imports(tree)} - sys.stdlib_module_names
        assert packages <= {"otel_genai"}, name
        chosen_by_the_user = {"config"} if module == "functions" else set()
        allowed = (*RECORDS, "endpoint", "semconv", "instrumentors", *chosen_by_the_user)
        assert outside(imported_modules(tree), *allowed) == set(), name
    assert checked > 20


def test_no_librarys_folder_imports_anothers() -> None:
    folders = LIBRARIES - {"torch"}
    for name, tree in TREES.items():
        for folder in folders:
            if _is_in(name, f"instrumentors.{folder}"):
                others = {f"instrumentors.{other}" for other in folders - {folder}}
                assert not {each for each in imported_modules(tree) if _is_in(each, *others)}, name


def test_no_module_imports_an_instrumented_library() -> None:
    for library in LIBRARIES:
        assert modules_that_import(library) == set()


def test_clocks_are_read_where_an_operation_lives() -> None:
    found = {name for name, tree in TREES.items() if "time" in {each.module for each in runtime_imports(tree)}}
    assert outside(found, "call", "server", "patching", "telemetry.process_start", *TOOLS) == set()
    assert "call.call" in found


@pytest.mark.parametrize("statement", ["import otel_genai", "import otel_genai; otel_genai.instrument()"])
def test_no_instrumented_library_is_imported_for_our_sake(statement: str) -> None:
    expensive = LIBRARIES | {"grpc", "rich", "opentelemetry.sdk"}
    script = f"import sys; {statement}; print(*sorted(set(sys.modules) & {expensive}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def _is_in(name: str, *places: str) -> bool:
    return outside({name}, *places) == set()
