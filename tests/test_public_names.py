"""The names of `otel_genai` itself: all are there, each is imported when it is first used, and the import of the package stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import otel_genai
from otel_genai.lazy_exports import lazy_exports

SOURCE = ast.parse(Path(otel_genai.__file__).read_text())


def imports_for_type_checkers() -> dict[str, set[str]]:
    """Module → the names that type checkers see imported from it."""
    (branch,) = (node for node in SOURCE.body if isinstance(node, ast.If))
    return {
        node.module or "": {alias.name for alias in node.names}
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
    }


def names_at_runtime() -> dict[str, set[str]]:
    """Module → the names that are loaded from it."""
    (call,) = (node for node in ast.walk(SOURCE) if isinstance(node, ast.Call))
    return {module: set(names) for module, names in ast.literal_eval(call.args[1]).items()}


def test_every_public_name_is_there() -> None:
    for name in otel_genai.__all__:
        assert getattr(otel_genai, name) is not None, name


def test_type_checkers_see_the_names_that_are_loaded() -> None:
    assert imports_for_type_checkers() == names_at_runtime()
    assert sorted(set().union(*names_at_runtime().values())) == sorted(otel_genai.__all__)


def test_a_name_is_the_object_of_its_module() -> None:
    for module, names in names_at_runtime().items():
        for name in names:
            assert getattr(otel_genai, name) is getattr(import_module(module), name)


def test_dir_lists_the_public_names() -> None:
    assert set(otel_genai.__all__) <= set(dir(otel_genai))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'otel_genai' has no attribute 'Opration'"):
        _ = otel_genai.Opration  # type: ignore[attr-defined]


def test_the_package_alone_imports_no_module_with_a_definition_of_a_record() -> None:
    program = "import sys, otel_genai; print(*sorted(name for name in sys.modules if name.startswith('otel_genai')))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["otel_genai", "otel_genai.lazy_exports"]


def test_a_name_is_imported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    load, listed_names = lazy_exports("tests", {"colorsys": ("rgb_to_hsv",)})
    monkeypatch.setattr(sys.modules["tests"], "rgb_to_hsv", None, raising=False)  # restores the attribute afterwards
    assert load("rgb_to_hsv") is vars(sys.modules["tests"])["rgb_to_hsv"]
    assert "rgb_to_hsv" in listed_names()
