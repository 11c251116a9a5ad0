"""vLLM's plug-in does nothing unless a variable switches it on. Then it instruments a vLLM that runs without `otel-genai run`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.processes import PYTHON, RUN, outcome

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.otlp.receiver import Received

ENGINE = """
class LLMEngine:
    def __init__(self, log_stats=False): pass
    def add_request(self, request_id, prompt, params): raise ValueError("too long")
    def step(self): pass
"""
FRONT_END = """
import sys
from importlib.metadata import entry_points
from types import SimpleNamespace
from vllm.v1.engine.llm_engine import LLMEngine
for _ in range(2):
    for plugin in entry_points(group="vllm.general_plugins"):
        plugin.load()()
def has(module):
    return module in sys.modules
print(has("otel_genai.patching.patches"), has("opentelemetry.sdk.trace"))
"""
SERVES = """
engine = LLMEngine()
print(has("opentelemetry.sdk.trace"))
try:
    engine.add_request("1", "a prompt", SimpleNamespace(task="classify"))
except ValueError as error:
    print(error)
"""
PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(mine := TracerProvider())
LLMEngine()
print(trace.get_tracer_provider() is mine)
"""
SEEDED = """
import random
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from vllm.v1.engine.llm_engine import LLMEngine
trace.set_tracer_provider(TracerProvider())
for plugin in __import__("importlib.metadata").metadata.entry_points(group="vllm.general_plugins"):
    plugin.load()()
def span_id():
    random.seed(0)
    return trace.get_tracer("vllm").start_span("Load model").get_span_context().span_id
print(span_id() == span_id())
"""
ON = {"OTEL_GENAI_VLLM_PLUGIN": "true"}


@pytest.fixture
def vllm(tmp_path: Path) -> dict[str, str]:
    """Install a vLLM that has little more than an engine, and return the variables that make it importable."""
    place = tmp_path / "site"
    package = place / "vllm" / "v1" / "engine"
    package.mkdir(parents=True)
    for folder in (package, package.parent, package.parent.parent):
        (folder / "__init__.py").touch()
    (package / "llm_engine.py").write_text(ENGINE)
    info = place / "vllm-0.32.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0\n")
    return {"PYTHONPATH": str(place)}


def test_vllm_finds_it() -> None:
    (entry_point,) = entry_points(group="vllm.general_plugins")
    assert (entry_point.name, entry_point.value) == ("otel_genai", "otel_genai.runner.vllm_plugin:activate")


@pytest.mark.parametrize("setting", [{}, {"OTEL_GENAI_VLLM_PLUGIN": ""}, {"OTEL_GENAI_VLLM_PLUGIN": "false"}])
def test_without_its_setting_it_changes_nothing(
    setting: dict[str, str], vllm: dict[str, str], variables: dict[str, str], received: Received, tmp_path: Path
) -> None:
    program = FRONT_END + SERVES
    assert outcome(PYTHON, "-c", program, cwd=tmp_path, **vllm, **variables, **setting) == (
        0,
        "False False\nFalse\ntoo long\n",
        "",
    )
    assert received.paths == []


def test_an_invalid_setting_is_one_warning(vllm: dict[str, str], tmp_path: Path) -> None:
    setting = {"OTEL_GENAI_VLLM_PLUGIN": "yes please"}
    status, out, err = outcome(PYTHON, "-c", FRONT_END, cwd=tmp_path, **vllm, **setting)
    assert (status, out) == (0, "False False\n")
    assert err.splitlines()[0] == (
        "OTEL_GENAI_VLLM_PLUGIN='yes please' is not understood and ignored. Use: true | false"
    )


def test_a_process_that_makes_no_engine_sets_nothing_up(
    vllm: dict[str, str], variables: dict[str, str], received: Received, tmp_path: Path
) -> None:
    done = outcome(PYTHON, "-c", FRONT_END, cwd=tmp_path, **vllm, **variables, **ON)
    assert done == (0, "True False\n", "")
    assert received.paths == []


def test_a_process_that_makes_an_engine_is_instrumented(
    vllm: dict[str, str], variables: dict[str, str], received: Received, tmp_path: Path
) -> None:
    done = outcome(PYTHON, "-c", FRONT_END + SERVES, cwd=tmp_path, **vllm, **variables, **ON)
    assert done == (0, "True False\nTrue\ntoo long\n", "")
    assert {(span.name, span.kind) for span in received.spans} >= {
        ("classify", Span.SPAN_KIND_INTERNAL),
        ("cold_start", Span.SPAN_KIND_INTERNAL),
    }
    services = {item.value.string_value for item in received.resources[0].attributes if item.key == "service.name"}
    assert services == {"vllm"}


def test_a_provider_of_the_program_stays(vllm: dict[str, str], tmp_path: Path) -> None:
    done = outcome(PYTHON, "-c", FRONT_END + PROVIDER, cwd=tmp_path, **vllm, **ON)
    assert done == (0, "True False\nTrue\n", "")


@pytest.mark.parametrize(("setting", "same"), [({}, True), (ON, False)])
def test_spans_of_vllms_own_have_different_ids(
    setting: dict[str, str], same: bool, vllm: dict[str, str], tmp_path: Path
) -> None:
    """Each process of vLLM seeds its random numbers, and one process more than once."""
    assert outcome(PYTHON, "-c", SEEDED, cwd=tmp_path, **vllm, **setting) == (0, f"{same}\n", "")


def test_under_the_runner_it_changes_nothing(
    vllm: dict[str, str], variables: dict[str, str], received: Received, tmp_path: Path
) -> None:
    done = outcome(RUN, "-c", FRONT_END + SERVES, cwd=tmp_path, **vllm, **variables, **ON)
    assert done == (0, "True True\nTrue\ntoo long\n", "")
    assert [span.name for span in received.spans].count("cold_start") == 1


def test_an_sdk_that_cannot_be_set_up_is_one_warning_and_the_engine_is_made(
    vllm: dict[str, str], tmp_path: Path
) -> None:
    setting = {**ON, "OTEL_TRACES_EXPORTER": "nosuch"}
    status, out, err = outcome(PYTHON, "-c", FRONT_END + SERVES, cwd=tmp_path, **vllm, **setting)
    assert (status, out) == (0, "True False\nTrue\ntoo long\n")
    assert err.startswith(
        "OTEL_GENAI_VLLM_PLUGIN: no telemetry is sent: no traces exporter named 'nosuch' is installed"
    )
    assert len(err.splitlines()) == 1
