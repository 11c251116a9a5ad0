"""`instrument()` waits for libraries: a process pays for none that it does not import, and misses no call of one that it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import otel_genai

if TYPE_CHECKING:
    from collections.abc import Iterable

SOURCE = Path(otel_genai.__file__).parents[1]

SETUP = """
import sys
import opentelemetry.sdk._configuration
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, ConsoleSpanExporter
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + chr(10))))
before = set(sys.modules)
import otel_genai
otel_genai.instrument(tracer_provider=provider)
"""
CALL = """
import openai
from otel_genai.simulator import serve
with serve() as url:
    client = openai.OpenAI(base_url=url, api_key="x")
    client.chat.completions.create(model="sim-small", messages=[{"role": "user", "content": "Hi"}])
"""


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


def test_waiting_loads_eight_modules() -> None:
    # Folders' own files, which define nothing, are not counted; folders were modules when the limit was ten with them.
    loaded = printed(SETUP + "print(*sorted(set(sys.modules) - before))").split()
    assert {name.partition(".")[0] for name in loaded} == {"otel_genai"}
    assert len(without_packages(loaded)) <= 8


def test_a_library_loads_its_own_instrumentor_and_no_other() -> None:
    assert loaded_instrumentors("import openai\n") == {"openai"}
    assert loaded_instrumentors("import openai, colorsys\n", wrap="colorsys:rgb_to_hsv") == {"openai", "functions"}


def loaded_instrumentors(imports: str, wrap: str = "") -> set[str]:
    names = "print(*{name.removeprefix(prefix).partition('.')[0] for name in sys.modules if name.startswith(prefix)})"
    found = printed(
        f"import os; os.environ['OTEL_GENAI_WRAP'] = {wrap!r}; prefix = 'otel_genai.instrumentors.'\n"
        + SETUP
        + imports
        + names
    )
    bridge = {"instrument", "activation", "import_hook", "options", "instrumentor", "registration", "versions"}
    return set(found.split()) - bridge


def without_packages(modules: Iterable[str]) -> set[str]:
    """The modules whose file is not a folder's `__init__.py`."""
    return {name for name in modules if not (SOURCE / name.replace(".", "/")).is_dir()}


def test_a_library_that_is_imported_and_not_used_has_nothing_built_for_its_calls() -> None:
    # Records, telemetry and the drivers of calls wait for the module that defines the calls.
    program = "import openai, sys; print(*[name for name in sys.modules if name.startswith('otel_genai.')])"
    command = [sys.executable, "-m", "otel_genai", "run", "--no-summary", "-c", program]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert "otel_genai.instrumentors.openai" in loaded
    assert {name.split(".")[1] for name in loaded} == {
        "version", "cli", "guard", "lazy_exports",
        "instrumentors", "runner", "sdk", "patching", "server", "semconv", "config", "endpoint", "http",
    }  # fmt: skip
    assert not loaded & {"otel_genai.call.call", "otel_genai.runner.summary.collector", "otel_genai.runner.third_party"}
    # Most are files of less than a hundred lines; `test_start_up.py` bounds what other packages add.
    assert len(without_packages(loaded)) <= 36


def test_a_start_creates_no_dataclass() -> None:
    # The class statement of a dataclass takes five times as long as that of a named tuple.
    count = """
import dataclasses
made = [
    value for name, module in sys.modules.items() if name.startswith("otel_genai")
    for value in vars(module).values()
    if isinstance(value, type) and value.__module__ == name and dataclasses.is_dataclass(value)
]
print(*[kind.__name__ for kind in made])
"""
    assert printed(SETUP + "import openai\n" + count) == "\n"


def test_a_library_imported_after_instrument_is_instrumented() -> None:
    assert printed(SETUP + CALL) == "chat sim-small\n"


def test_a_library_imported_before_instrument_is_instrumented() -> None:
    assert printed("import openai\n" + SETUP + CALL) == "chat sim-small\n"


def test_uninstrument_ends_the_waiting() -> None:
    assert printed(SETUP + "otel_genai.uninstrument()\n" + CALL) == ""


def test_instrument_works_again_after_uninstrument() -> None:
    again = "otel_genai.instrument(); otel_genai.uninstrument(); otel_genai.instrument(tracer_provider=provider)\n"
    assert printed(SETUP + again + CALL) == "chat sim-small\n"


def test_a_wrong_argument_is_refused_at_once() -> None:
    program = SETUP.replace("(tracer_provider=provider)", "(exporter='otlp')")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ValueError: instrument() does not know exporter; it takes tracer_provider, meter_provider, logger_provider, "
        "provider, redact, completion_hook, engine_stats"
    )


def test_the_import_of_one_library_does_not_end_the_waiting_for_another() -> None:
    program = (
        "import os; os.environ['OTEL_GENAI_WRAP'] = 'colorsys:rgb_to_hsv=convert'\n"
        + SETUP
        + CALL
        + "otel_genai.instrument()\nimport colorsys\ncolorsys.rgb_to_hsv(0, 0, 0)\n"
    )
    assert printed(program) == "chat sim-small\nconvert\n"


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_environment_is_read_when_instrument_is_called(when: str) -> None:
    change = "import os; os.environ['OTEL_GENAI_WRAP'] = 'colorsys:rgb_to_hsv=convert'\n"
    use = "import colorsys\nprint(colorsys.rgb_to_hsv(0, 0, 0))\n"
    program = change + SETUP + use if when == "before" else SETUP + change + use
    assert printed(program) == ("convert\n" if when == "before" else "") + "(0.0, 0.0, 0)\n"


def test_a_library_that_its_instrumentor_imports_is_executed_once() -> None:
    program = (
        "import os; os.environ['OTEL_GENAI_WRAP'] = 'asyncio.events:new_event_loop=loop'\n"
        + SETUP
        + "assert 'asyncio' not in before\n"
        "import asyncio\n"
        "print(asyncio.run(asyncio.sleep(0, 'slept')), asyncio.__spec__.origin == asyncio.__file__)\n"
    )
    assert printed(program) == "loop\nslept True\n"
