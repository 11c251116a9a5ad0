"""Start-up: `instrument()` imports neither `packaging` nor OpenTelemetry's instrumentor, and ours still are what those promise."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped upstream

from otel_genai.instrumentors import versions
from otel_genai.instrumentors.openai import OpenAIInstrumentor

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

    from tests.support.providers import Recorded

STARTS = {
    "openai": "import openai; import otel_genai; otel_genai.instrument()",
    "openai and its chat": "import openai.resources.chat.completions; import otel_genai; otel_genai.instrument()",
    "openai, imported afterwards": "import otel_genai; otel_genai.instrument(); import openai",
}
ENTRY_POINTS = distribution("otel-genai").entry_points.select(group="opentelemetry_instrumentor")


def printed(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_start_imports_no_package_that_checks_versions(start: str) -> None:
    loaded = set(printed(f"import sys; {start}; print(*sys.modules)").split())
    assert "otel_genai.instrumentors.openai.instrumentor" in loaded
    slow = {
        "packaging",
        "opentelemetry.instrumentation.instrumentor",
        "opentelemetry.instrumentation.dependencies",
        "opentelemetry.semconv",
    }
    assert loaded & slow == set()


def test_a_start_loads_few_modules() -> None:
    program = f"import sys, openai; before = set(sys.modules); {STARTS['openai']}; print(*set(sys.modules) - before)"
    assert len(printed(program).split()) <= 42


@pytest.mark.parametrize("entry", ENTRY_POINTS, ids=lambda entry: entry.name)
def test_an_entry_point_names_a_base_instrumentor(entry: EntryPoint) -> None:
    kind: Any = entry.load()
    assert issubclass(kind, BaseInstrumentor)
    assert isinstance(kind(), BaseInstrumentor)
    assert kind() is kind()


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_an_instrumentor_is_a_base_instrumentor_whichever_is_imported_first(first: str) -> None:
    imports = [
        "from otel_genai.instrumentors.openai import OpenAIInstrumentor",
        "from opentelemetry.instrumentation.instrumentor import BaseInstrumentor",
    ]
    program = "\n".join(imports if first == "ours" else reversed(imports))
    assert printed(f"{program}\nprint(isinstance(OpenAIInstrumentor(), BaseInstrumentor))") == "True\n"


def test_a_package_has_no_other_names() -> None:
    import otel_genai.instrumentors.openai as package

    with pytest.raises(AttributeError, match=r"^module 'otel_genai.instrumentors.openai' has no attribute 'Missing'$"):
        package.Missing  # noqa: B018


def test_instrumenting_twice_and_reverting_twice_are_one_warning_each(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    instrumentor = OpenAIInstrumentor()
    switches: list[Callable[[], None]] = [
        lambda: instrumentor.instrument(**recorded.providers),
        instrumentor.uninstrument,
    ]
    for switch in switches:
        switch()
        assert caplog.messages == []
        switch()
        assert len(caplog.messages) == 1
        caplog.clear()
    assert not instrumentor.is_instrumented_by_opentelemetry


def test_an_unsupported_version_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(OpenAIInstrumentor, "requires", ("openai >= 1000",))
    OpenAIInstrumentor().instrument()
    assert not OpenAIInstrumentor().is_instrumented_by_opentelemetry
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith('OpenAIInstrumentor only instruments "openai >= 1000", but currently')
    with pytest.raises(DependencyConflictError):
        OpenAIInstrumentor().instrument(raise_exception_on_conflict=True)


def test_a_check_of_versions_may_be_skipped(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenAIInstrumentor, "requires", ("openai >= 1000",))
    OpenAIInstrumentor().instrument(skip_dep_check=True, **recorded.providers)
    assert OpenAIInstrumentor().is_instrumented_by_opentelemetry
    OpenAIInstrumentor().uninstrument()


@pytest.mark.parametrize(
    ("requirement", "installed", "plain", "met"),
    [
        ("lib >= 1.40", "1.40.0", True, True),
        ("lib >= 1.40", "1.41", True, True),
        ("lib >= 1.40", "10.0", True, True),
        ("lib>=1.40", "2", True, True),
        ("lib >= 0.8.5.dev0", "0.11.0+cpu", True, True),
        ("lib >= 1.40.0", "1.40", False, True),
        ("lib >= 1.40", "1.39.9", False, False),
        ("lib >= 1.40", "1.40rc1", False, False),
        ("lib >= 1.40", "1.40.post1", False, True),
        ("lib ~= 1.40", "1.41", False, True),
        ("lib ~= 1.40", "2.0", False, False),
        ("lib >= 0.8.5.dev0", "0.8.5.dev1", False, True),
    ],
)
def test_a_plain_answer_is_that_of_packaging(
    requirement: str, installed: str, plain: bool, met: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "version", lambda _: installed)
    monkeypatch.setattr("opentelemetry.instrumentation.dependencies.version", lambda _: installed)
    assert versions._is_plainly_met(requirement) is plain
    assert (versions.conflict([requirement]) is None) is met


def test_a_library_that_is_not_installed_is_a_conflict_without_a_version() -> None:
    conflict = versions.conflict(["no-such-library >= 1"])
    assert conflict is not None
    assert (conflict.required, conflict.found) == ("no-such-library >= 1", None)
