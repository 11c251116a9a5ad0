"""A run ends with a summary of all calls, however it ends, and without any content of them."""

# ruff: noqa: RUF001 - the dash is the summary's own
from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import SUMMARISED_RUN, outcome, signalled

if TYPE_CHECKING:
    from pathlib import Path

CALLS = """\
import openai
client = openai.OpenAI()
messages = [{"role": "user", "content": "a secret question"}]
client.chat.completions.create(model="sim-small", messages=messages)
for chunk in client.chat.completions.create(
    model="sim-small", messages=messages, stream=True, stream_options={"include_usage": True}
):
    pass
"""


@pytest.fixture
def variables(model_server: str) -> dict[str, str]:
    """Return the variables of calls whose key is a secret."""
    return {"OPENAI_BASE_URL": model_server, "OPENAI_API_KEY": "sk-a-secret-key"}


def test_a_run_ends_with_its_figures_and_its_last_trace(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        CALLS + "from opentelemetry import trace\n"
        "with trace.get_tracer('app').start_as_current_span('outer'):\n"
        "    client.chat.completions.create(model='sim-small', messages=messages)\n"
    )
    variables |= {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_AND_EVENT"}
    status, out, err = outcome(SUMMARISED_RUN, "app.py", cwd=tmp_path, **variables)
    assert (status, out) == (0, "")
    lines = err.splitlines()
    (figures,) = [line.split() for line in lines if line.startswith("chat")]
    assert figures[:4] == ["chat", "sim-small", "3", "0"]
    assert "–" not in figures
    outer, call = lines[lines.index("Trace of the last call") + 1 :][:2]
    assert outer.startswith("outer  ")
    assert call.startswith("└── chat sim-small  ")
    assert "finish=" in call
    assert "secret" not in err


def test_sigterm_ends_open_streams_and_prints_the_summary(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import time, openai\n"
        "stream = openai.OpenAI().chat.completions.create(\n"
        "    model='sim-small', messages=[{'role': 'user', 'content': 'x'}], stream=True)\n"
        "next(stream)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    time.sleep(0.01)\n"
    )
    status, _, err = signalled(SUMMARISED_RUN, "app.py", number=signal.SIGTERM, cwd=tmp_path, **variables)
    assert status == -signal.SIGTERM
    (figures,) = [line.split() for line in err.splitlines() if line.startswith("chat  ")]
    assert figures[:4] == ["chat", "sim-small", "1", "0"]
    assert "\nTrace of the last call\nchat sim-small  " in err


def test_a_run_without_calls_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    done = outcome(SUMMARISED_RUN, "app.py", cwd=tmp_path)
    assert done == (0, "", "otel-genai: no GenAI calls were made\n")


@pytest.mark.parametrize("end", ["sys.stderr.close()", "sys.stderr = None"], ids=["closed", "none"])
def test_a_summary_that_cannot_be_printed_changes_nothing(end: str, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(f"{CALLS}\nimport sys\n{end}\n")
    assert outcome(SUMMARISED_RUN, "app.py", cwd=tmp_path, **variables)[:2] == (0, "")
