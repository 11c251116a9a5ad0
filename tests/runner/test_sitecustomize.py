"""The `sitecustomize` that children import at start-up: it runs the one that it hides, and never disturbs a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel_genai.runner.children import config as children
from tests.support.processes import PYTHON, outcome

FOLDER = Path(children.__file__).with_name("on_path")
CONFIG = 'openai {"service_name": "app", "third_party": [], "calls_folder": null, "trace_headers": null}'


def python(source: str, *path: Path, cwd: Path, **variables: str) -> tuple[int, str, str]:
    """Run code in a Python process whose PYTHONPATH is the folder of this `sitecustomize` and others after it."""
    folders = os.pathsep.join(map(str, [FOLDER, *path]))
    return outcome(PYTHON, "-c", source, cwd=cwd, PYTHONPATH=folders, **variables)


def test_without_the_variable_it_does_nothing(tmp_path: Path) -> None:
    source = "import sys, openai; print('otel_genai' in sys.modules, 'opentelemetry' in sys.modules)"
    assert python(source, cwd=tmp_path) == (0, "False False\n", "")


def test_with_the_variable_a_library_is_instrumented(tmp_path: Path) -> None:
    source = "import sys, openai; print('otel_genai.instrumentors' in sys.modules)"
    assert python(source, cwd=tmp_path, OTEL_GENAI_RUN=CONFIG) == (0, "True\n", "")


@pytest.mark.parametrize("variables", [{}, {"OTEL_GENAI_RUN": "openai {}"}], ids=["no variable", "variable"])
@pytest.mark.parametrize(
    "hidden", ["print('hidden')", "raise ValueError('broken')", "import nosuch"], ids=["works", "raises", "lacks"]
)
def test_a_hidden_sitecustomize_runs_as_under_plain_python(
    hidden: str, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(hidden)
    source = "import sys; print(getattr(sys.modules.get('sitecustomize'), '__file__', None))"
    expected = outcome(PYTHON, "-c", source, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert "hidden" in expected[1] or "sitecustomize" in expected[2]
    assert python(source, tmp_path, cwd=tmp_path, **variables) == expected


@pytest.mark.parametrize(
    "value", ["openai", "openai {", "openai {}", 'openai {"third_party": 3}', "openai \N{SNOWMAN}"], ids=range(5)
)
def test_a_variable_that_cannot_be_read_is_ignored(value: str, tmp_path: Path) -> None:
    assert python("import openai; print('fine')", cwd=tmp_path, OTEL_GENAI_RUN=value) == (0, "fine\n", "")


@pytest.mark.parametrize("missing", ["otel_genai", "opentelemetry", "opentelemetry.sdk"])
def test_a_child_without_a_needed_package_is_not_instrumented(missing: str, tmp_path: Path) -> None:
    source = f"import sys; sys.modules[{missing!r}] = None; import openai; print('fine')"
    assert python(source, cwd=tmp_path, OTEL_GENAI_RUN=CONFIG) == (0, "fine\n", "")


def test_children_do_not_repeat_errors_of_settings(tmp_path: Path) -> None:
    variables = {"OTEL_GENAI_RUN": CONFIG, "OTEL_TRACES_EXPORTER": "nosuch"}
    assert python("import openai; print('fine')", cwd=tmp_path, **variables) == (0, "fine\n", "")


def test_a_child_can_wait_for_a_library_that_this_package_needs(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text("import asyncio\nprint(asyncio.run(asyncio.sleep(0, 'slept')))\n")
    (tmp_path / "app.py").write_text(
        "import subprocess, sys\nsubprocess.run([sys.executable, 'child.py'], check=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "otel_genai", "run", "--record=run.jsonl", "--no-summary",
         "--wrap=asyncio.events:new_event_loop=loop", "app.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("slept\n", "", 0)
    # Parent or child writes it: that depends on whether the parent has imported asyncio by then.
    lines = [json.loads(line) for file in tmp_path.glob("run*.jsonl") for line in file.read_text().splitlines()]
    assert [line["request"]["operation"] for line in lines if line["type"] == "operation"] == ["loop"]
