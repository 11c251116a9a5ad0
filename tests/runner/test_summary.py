"""`otel-genai run` ends with the summary of what really happened, whichever way it ends, and with nothing of what was said."""

# ruff: noqa: RUF001 - the dash is the summary's own
from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

RUN = (str(Path(sys.executable).with_name("otel-genai")), "run")
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


def environment(model_server: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return own | {"OPENAI_BASE_URL": model_server, "OPENAI_API_KEY": "sk-a-secret-key"}


def test_a_run_ends_with_its_figures_and_its_last_trace(model_server: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        CALLS + "from opentelemetry import trace\n"
        "with trace.get_tracer('app').start_as_current_span('outer'):\n"
        "    client.chat.completions.create(model='sim-small', messages=messages)\n"
    )
    done = subprocess.run(
        [*RUN, "app.py"],
        cwd=tmp_path,
        env=environment(model_server) | {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_AND_EVENT"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    (figures,) = [line.split() for line in lines if line.startswith("chat")]
    assert figures[:4] == ["chat", "sim-small", "3", "0"]
    assert "–" not in figures
    outer, call = lines[lines.index("Trace of the last call") + 1 :][:2]
    assert outer.startswith("outer  ")
    assert call.startswith("└── chat sim-small  ")
    assert "finish=" in call
    assert "secret" not in done.stderr


def test_sigterm_ends_open_streams_and_prints_the_summary(model_server: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import time, openai\n"
        "stream = openai.OpenAI().chat.completions.create(\n"
        "    model='sim-small', messages=[{'role': 'user', 'content': 'x'}], stream=True)\n"
        "next(stream)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    time.sleep(0.01)\n"
    )
    with subprocess.Popen(
        [*RUN, "app.py"],
        cwd=tmp_path,
        env=environment(model_server),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    (figures,) = [line.split() for line in err.splitlines() if line.startswith("chat  ")]
    assert figures[:4] == ["chat", "sim-small", "1", "0"]
    assert "\nTrace of the last call\nchat sim-small  " in err


def test_a_run_without_calls_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    done = subprocess.run(
        [*RUN, "app.py"], cwd=tmp_path, env=environment(""), capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "otel-genai: no GenAI calls were made\n")


@pytest.mark.parametrize("stderr", ["closed", "gone"])
def test_a_summary_that_cannot_be_printed_changes_nothing(stderr: str, model_server: str, tmp_path: Path) -> None:
    leave = "import sys\nsys.stderr.close()" if stderr == "closed" else "import sys\nsys.stderr = None"
    (tmp_path / "app.py").write_text(f"{CALLS}\n{leave}\n")
    done = subprocess.run(
        [*RUN, "app.py"],
        cwd=tmp_path,
        env=environment(model_server),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
