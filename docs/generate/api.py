"""docs/api.md: the public modules, and the signature, docstring and fields of every public name, read from the source."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib.util import find_spec
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Final

from docs.generate.markdown import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PUBLIC_MODULES: Final = {
    "otel_genai": "switching on and off, observers, and the records that observers receive",
    "otel_genai.instrumentors": "`instrument` and `uninstrument`, the same functions",
    "otel_genai.instrumentors.openai": "the instrumentor of one library: OpenAI's client",
    "otel_genai.instrumentors.transformers": "the instrumentor of one library: transformers",
    "otel_genai.instrumentors.vllm": "the instrumentor of one library: vLLM",
    "otel_genai.recording": "recordings, read back as records",
    "otel_genai.simulator": "the simulated model server, for tests",
}
"""Module → its use."""
_CONTENT: Final = "otel_genai.content"
_RECORDS: Final = "otel_genai.operation"
_MANUAL: Final = "otel_genai.call.manual"

Definition = ast.ClassDef | ast.FunctionDef | ast.Assign


# ── the source ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _text(module: str) -> str:
    spec = find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    return Path(spec.origin).read_text(encoding="utf-8")


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_text(module))


def exports(module: str) -> list[str]:
    """The names in a module's `__all__`."""
    found = definition(module, "__all__")
    assert isinstance(found, ast.Assign)
    names: list[str] = ast.literal_eval(found.value)
    return names


def source_of(module: str, name: str) -> str:
    """The module that defines a name which another one exports."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return node.module or module
    return module


def definition(module: str, name: str) -> Definition:
    """The statement that defines a name."""
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return node
    raise LookupError(f"{module} does not define {name}")


def docstring(module: str, name: str) -> str:
    """The docstring of a class or function, or the string that follows an alias; empty if there is none."""
    found = definition(module, name)
    if not isinstance(found, ast.Assign):
        return ast.get_docstring(found) or ""
    body = _tree(module).body
    return _string(body[body.index(found) + 1 :])


def _string(following: list[ast.stmt]) -> str:
    match following[:1]:
        case [ast.Expr(value=ast.Constant(value=str(text)))]:
            return cleandoc(text)
    return ""


# ── the page ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def modules() -> Iterator[str]:
    """A row a public module."""
    return table(("Module", "Use"), ((f"`{name}`", use) for name, use in PUBLIC_MODULES.items()))


def functions() -> Iterator[str]:
    """The functions and aliases of `otel_genai`, with their docstrings."""
    return names("otel_genai", lambda source: source not in {_CONTENT, _RECORDS, _MANUAL, "otel_genai.version"})


def manual_operations() -> Iterator[str]:
    """The classes for operations that no instrumented library makes."""
    return names("otel_genai", lambda source: source == _MANUAL)


def names(module: str, is_wanted: Callable[[str], bool] = lambda _: True) -> Iterator[str]:
    """The names that a module exports, with their docstrings, from the modules that are wanted."""
    for name in exports(module):
        source = source_of(module, name)
        if not is_wanted(source):
            continue
        found = definition(source, name)
        if isinstance(found, ast.ClassDef):
            yield from _class(source, found)
        else:
            yield from (
                "",
                f"### `{name}`",
                "",
                "```python",
                _statement(source, found),
                "```",
                "",
                docstring(source, name),
            )


def _statement(source: str, found: ast.FunctionDef | ast.Assign) -> str:
    # As the source has it, so that it is formatted.
    lines = _text(source).splitlines()
    if isinstance(found, ast.Assign):
        return "\n".join(lines[found.lineno - 1 : found.end_lineno])
    first = min([found.lineno, *(decorator.lineno for decorator in found.decorator_list)])
    return "\n".join(lines[first - 1 : found.body[0].lineno - 1]) + " ..."


def _class(source: str, found: ast.ClassDef) -> Iterator[str]:
    members = {node.name: node for node in found.body if isinstance(node, ast.FunctionDef)}
    constructor = members.get("__init__")
    yield from ("", f"### `{found.name}`", "", docstring(source, found.name))
    if constructor is not None and not re.search(r"\b_[A-Z]", ast.unparse(constructor.args)):  # not made by callers
        yield from ("", f"`{found.name}({_parameters(constructor)})`: {_line(ast.get_docstring(constructor) or '')}")
    if any(isinstance(node, ast.AnnAssign) for node in found.body):
        yield ""
        yield from table(("Field", "Type", "Default", "Meaning"), _fields(found))
        members = {name: node for name, node in members.items() if not _is_property(node)}
    rows = [
        (f"`{name}`" if _is_property(node) else f"`{name}({_parameters(node)})`", _line(ast.get_docstring(node) or ""))
        for name, node in members.items()
        if not name.startswith("_")
    ]
    if rows:
        yield ""
        yield from table(("Member", "Meaning"), rows)


def _parameters(method: ast.FunctionDef) -> str:
    return ast.unparse(method.args).removeprefix("self").removeprefix(", ")


def records() -> Iterator[str]:
    """The records of an operation, a table of fields each."""
    order = ["Operation", *(name for name in exports("otel_genai") if name != "Operation")]
    for name in order:
        if source_of("otel_genai", name) == _RECORDS:
            found = definition(_RECORDS, name)
            assert isinstance(found, ast.ClassDef)
            yield from ("", f"### `{name}`", "", docstring(_RECORDS, name), "")
            yield from table(("Field", "Type", "Default", "Meaning"), _fields(found))


def _fields(found: ast.ClassDef) -> Iterator[tuple[str, str, str, str]]:
    for place, node in enumerate(found.body):
        meaning = _line(_string(found.body[place + 1 :]))
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)):
                default = "" if node.value is None else f"`{ast.unparse(node.value)}`"
                yield f"`{name}`", f"`{ast.unparse(node.annotation)}`", default, meaning
            case ast.Assign():  # a member of an enumeration
                yield f"`{ast.unparse(node.targets[0])}`", f"`{ast.unparse(node.value)}`", "", meaning
            case ast.FunctionDef() if _is_property(node) and node.returns is not None:
                yield f"`{node.name}`", f"`{ast.unparse(node.returns)}`, property", "", _first_line(node)


def content_records() -> Iterator[str]:
    """A row a content record."""

    def row(name: str) -> Iterator[str]:
        found = definition(_CONTENT, name)
        assert isinstance(found, ast.ClassDef)
        fields = [f"`{ast.unparse(node)}`" for node in found.body if isinstance(node, ast.AnnAssign)]
        yield f"`{name}`"
        yield "<br>".join(fields)
        yield _line(docstring(_CONTENT, name))

    names = [name for name in exports("otel_genai") if source_of("otel_genai", name) == _CONTENT]
    parts = ast.unparse(definition(_CONTENT, "Part")).removeprefix("Part = ")
    yield from table(("Record", "Fields", "Meaning"), (row(name) for name in names if name != "Part"))
    yield from ("", f"`Part` is `{parts}`.")


def instrumentors() -> Iterator[str]:
    """A row an instrumentor: its class, the versions that it supports, and its docstring."""

    def row(module: str, name: str) -> Iterator[str]:
        found = definition(source_of(module, name), name)
        assert isinstance(found, ast.ClassDef)
        requires = next(
            ast.literal_eval(node.value)
            for node in found.body
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "requires" and node.value is not None
        )
        yield f"`{module}.{name}`"
        yield ", ".join(f"`{requirement}`" for requirement in requires)
        yield _line(docstring(source_of(module, name), name))

    found = [
        (module, name)
        for module in PUBLIC_MODULES
        for name in exports(module)
        if module.startswith("otel_genai.instrumentors.") and name.endswith("Instrumentor")
    ]
    return table(("Class", "Supports", "Meaning"), (row(*each) for each in found))


def _is_property(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(decorator) == "property" for decorator in node.decorator_list)


def _first_line(node: ast.FunctionDef) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]


def _line(text: str) -> str:
    return " ".join(text.split())
