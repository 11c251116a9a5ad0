"""Programs of other authors run unmodified: they behave as under plain `python`, and each of their requests is seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.otlp.names import span_names
from tests.support.processes import PYTHON, RUN, SUMMARISED_RUN, outcome

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.otlp.receiver import Received

pytestmark = pytest.mark.interop


# ── a load generator whose processes send HTTP requests ────────────────────────────────────────────────────────────────


def test_guidellm(received: Received, variables: dict[str, str], model_server: str, tmp_path: Path) -> None:
    prompts = [json.dumps({"prompt": f"Say {number}."}) for number in range(10)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(prompts))
    arguments = (
        "run",
        "--backend", f"kind=openai_http,target={model_server.removesuffix('/v1')},model=sim-small",
        "--profile", "kind=concurrent,streams=2",
        "--constraint", "kind=max_requests,count=10",
        "--data", "kind=json_file,path=prompts.jsonl",
        "--output", "kind=json,path=out.json",
        "--disable-progress",
    )  # fmt: skip
    variables |= {"HF_HUB_OFFLINE": "1"}
    status, _, err = outcome((*RUN, "--with", "httpx"), "guidellm", *arguments, cwd=tmp_path, **variables)
    assert status == 0, err
    (benchmark,) = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    assert len(benchmark["requests"]["successful"]) == 10
    # Spans of other requests, such as the one for the list of models, are named GET.
    assert span_names(received).count("POST") == 10


# ── the client's own command line ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [(), ("--stream",)], ids=["whole", "stream"])
def test_the_command_line_of_openai(
    stream: tuple[str, ...], received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    arguments = ("openai", "api", "chat.completions.create", "-m", "sim-small", "-g", "user", "Say hello", *stream)
    status, out, err = outcome(RUN, *arguments, cwd=tmp_path, **variables)
    assert (status, err) == (0, "")
    assert len(out.split()) > 3
    assert span_names(received) == ["chat sim-small"]


def test_an_error_of_the_command_line_of_openai_is_unchanged(
    received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    arguments = ("api", "chat.completions.create", "-m", "nosuch")
    expected = outcome((*PYTHON, "-m", "openai"), *arguments, cwd=tmp_path, **variables)
    assert expected[0] != 0
    assert outcome(RUN, "-m", "openai", *arguments, cwd=tmp_path, **variables) == expected
    assert received.spans == []


# ── a test runner ──────────────────────────────────────────────────────────────────────────────────────────────────────

SUITE = """\
import openai, pytest, subprocess, sys
def call():
    with openai.OpenAI(max_retries=0) as client:
        return client.chat.completions.create(model="sim-small", messages=[{"role": "user", "content": "hello"}])
def test_answers(): assert call().choices
def test_fails(): assert not call().choices, "rewritten"
def test_child(): assert subprocess.run([sys.executable, "-c", "import test_it; test_it.call()"]).returncode == 0
if __name__ == "__main__": call()
"""


@pytest.mark.parametrize("target", [("-m", "pytest"), ("pytest",)], ids=["module", "command"])
def test_pytest(target: tuple[str, ...], received: Received, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SUITE)
    status, out, err = outcome(SUMMARISED_RUN, *target, "-q", "-p", "no:cacheprovider", cwd=tmp_path, **variables)
    assert status == 1
    assert "1 failed, 2 passed" in out
    assert "AssertionError: rewritten" in out
    assert span_names(received) == 3 * ["chat sim-small"]
    (figures,) = [line.split() for line in err.splitlines() if line.startswith("chat  ")]
    assert figures[:4] == ["chat", "sim-small", "3", "0"]


# ── a notebook's kernel ────────────────────────────────────────────────────────────────────────────────────────────────

NOTEBOOK = """\
import sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3")
cell = '''
import openai
client = openai.OpenAI()
client.chat.completions.create(model="sim-small", messages=[{"role": "user", "content": "hello"}])
'''
for _ in range(2):
    print(client.execute_interactive(cell, timeout=30, output_hook=lambda _: None)["content"]["status"])
client.stop_channels()
manager.shutdown_kernel(now=sys.argv[1] == "now")
"""


@pytest.mark.parametrize("shutdown", ["request", "now"])
def test_a_jupyter_kernel(shutdown: str, received: Received, variables: dict[str, str], tmp_path: Path) -> None:
    # A killed kernel may lose the spans of its last half second, so that of the first cell is exported at once.
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    variables |= {"IPYTHONDIR": str(tmp_path / "ipython"), "OTEL_BSP_SCHEDULE_DELAY": "1"} if shutdown == "now" else {}
    status, out, err = outcome(RUN, "notebook.py", shutdown, cwd=tmp_path, **variables)
    assert (status, out) == (0, "ok\nok\n"), err
    assert len(received.spans) >= (1 if shutdown == "now" else 2)
    assert set(span_names(received)) == {"chat sim-small"}
