"""The options of `otel-genai run` hold in this process and in the processes that it starts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from otel_genai import config
from otel_genai.runner.options import CAPTURE_CONTENT, RECORD_FILE, WRAP
from tests.support.otlp.receiver import receiver
from tests.support.processes import RUN, SUMMARISED_RUN, outcome

if TYPE_CHECKING:
    from pathlib import Path

CALLS = """\
import subprocess, sys
def call():
    import openai
    with openai.OpenAI(max_retries=0) as client:
        list(client.chat.completions.create(
            model="sim-small", messages=[{"role": "user", "content": "a secret question"}], stream=True))
if len(sys.argv) == 1:
    call()
    subprocess.run([sys.executable, __file__, "child"], cwd="/")
else:
    call()
"""


@pytest.fixture
def variables(model_server: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "app.py").write_text(CALLS)
    (tmp_path / "scratch").mkdir()
    return {"OPENAI_BASE_URL": model_server, "OPENAI_API_KEY": "unused", "TMPDIR": str(tmp_path / "scratch")}


def test_the_variables_are_those_of_the_settings() -> None:
    settings = (config.CAPTURE_CONTENT, config.RECORD_FILE, config.WRAP)
    assert [row.variable for row in settings] == [CAPTURE_CONTENT, RECORD_FILE, WRAP]


def lines(file: Path) -> list[str]:
    return [json.loads(line)["type"] for line in file.read_text().splitlines()]


def test_record_writes_a_file_for_each_process(variables: dict[str, str], tmp_path: Path) -> None:
    assert outcome((*RUN, "--record", "run.jsonl"), "app.py", cwd=tmp_path, **variables) == (0, "", "")
    (child,) = tmp_path.glob("run.*.jsonl")
    assert lines(tmp_path / "run.jsonl") == lines(child) == ["header", "operation"]
    assert "secret" not in (tmp_path / "run.jsonl").read_text()


def test_record_replaces_an_earlier_recording(variables: dict[str, str], tmp_path: Path) -> None:
    for _ in range(2):
        assert outcome((*RUN, "--record=run.jsonl"), "app.py", cwd=tmp_path, **variables) == (0, "", "")
    (child,) = tmp_path.glob("run.*.jsonl")
    assert lines(tmp_path / "run.jsonl") == lines(child) == ["header", "operation"]


def test_record_without_a_call_is_an_empty_file(variables: dict[str, str], tmp_path: Path) -> None:
    assert outcome((*RUN, "--record", "run.jsonl"), "-c", "pass", cwd=tmp_path, **variables) == (0, "", "")
    assert (tmp_path / "run.jsonl").read_text() == ""


@pytest.mark.parametrize("summary", [True, False])
def test_report_writes_a_page_and_leaves_no_recording(summary: bool, variables: dict[str, str], tmp_path: Path) -> None:
    launcher = SUMMARISED_RUN if summary else RUN
    status, out, err = outcome((*launcher, "--report", "page.html"), "app.py", cwd=tmp_path, **variables)
    assert (status, out) == (0, "")
    assert err.splitlines()[-1] == "otel-genai: the report is in page.html"
    assert ("GenAI calls" in err) == summary
    page = (tmp_path / "page.html").read_text()
    assert "2 calls" in page
    assert "sim-small" in page
    assert list((tmp_path / "scratch").iterdir()) == []
    assert list(tmp_path.glob("*.jsonl")) == []


def test_report_and_record_share_a_recording(variables: dict[str, str], tmp_path: Path) -> None:
    launcher = (*RUN, "--report", "page.html", "--record", "run.jsonl")
    assert outcome(launcher, "app.py", cwd=tmp_path, **variables)[0] == 0
    assert lines(tmp_path / "run.jsonl") == ["header", "operation"]
    assert "2 calls" in (tmp_path / "page.html").read_text()


def test_there_is_no_report_if_no_library_was_imported(variables: dict[str, str], tmp_path: Path) -> None:
    done = outcome((*RUN, "--report", "page.html"), "-c", "pass", cwd=tmp_path, **variables)
    assert done == (0, "", "otel-genai: page.html is not written: no GenAI library was imported\n")
    assert not (tmp_path / "page.html").exists()


def test_a_report_of_no_call_is_a_page(variables: dict[str, str], tmp_path: Path) -> None:
    done = outcome((*RUN, "--report", "page.html"), "-c", "import openai", cwd=tmp_path, **variables)
    assert done == (0, "", "otel-genai: the report is in page.html\n")
    assert (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("preset", "captured"),
    [({}, True), ({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "NO_CONTENT"}, True), ({"x": "y"}, False)],
    ids=["unset", "off", "without the option"],
)
def test_capture_content_records_prompts(
    preset: dict[str, str], captured: bool, variables: dict[str, str], tmp_path: Path
) -> None:
    options = ("--capture-content",) if captured else ()
    with receiver() as received:
        variables |= preset | {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint}
        assert outcome((*RUN, *options), "app.py", cwd=tmp_path, **variables) == (0, "", "")
    assert ["a secret question" in str(span) for span in received.spans] == [captured, captured]


def test_capture_content_records_where_the_variable_says(variables: dict[str, str], tmp_path: Path) -> None:
    with receiver() as received:
        variables |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "EVENT_ONLY",
        }
        assert outcome((*RUN, "--capture-content"), "app.py", cwd=tmp_path, **variables) == (0, "", "")
    assert ["a secret question" in str(span) for span in received.spans] == [False, False]
    assert ["a secret question" in str(record) for record in received.logs] == [True, True]


@pytest.mark.parametrize("preset", [{}, {"OTEL_SERVICE_NAME": "theirs"}], ids=["unset", "set"])
def test_service_name_names_all_processes(preset: dict[str, str], variables: dict[str, str], tmp_path: Path) -> None:
    with receiver() as received:
        variables |= preset | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{received.endpoint}/v1/traces"}
        assert outcome((*RUN, "--service-name", "mine"), "app.py", cwd=tmp_path, **variables) == (0, "", "")
    found = [{a.key: a.value.string_value for a in resource.attributes} for resource in received.resources]
    assert [attributes["service.name"] for attributes in found] == ["mine", "mine"]


def test_wrap_times_functions_of_any_library_in_all_processes(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("class Worker:\n    def step(self): return 1\ndef other(): return 2\n")
    (tmp_path / "app.py").write_text(
        "import subprocess, sys, work\nwork.Worker().step()\nwork.other()\n"
        "subprocess.run([sys.executable, '-c', 'import work; work.Worker().step()'])\n"
    )
    options = ("--wrap", "work:Worker.step", "--wrap", "work:other=the other")
    with receiver() as received:
        done = outcome((*RUN, *options), "app.py", cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint)
    assert done == (0, "", "")
    assert sorted(span.name for span in received.spans) == ["Worker.step", "Worker.step", "the other"]


def test_the_last_summary_option_holds(variables: dict[str, str], tmp_path: Path) -> None:
    for options, printed in (
        ((), True),
        (("--summary",), True),
        (("--no-summary", "--summary"), True),
        (("--no-summary",), False),
    ):
        _, _, err = outcome((*SUMMARISED_RUN, *options), "-c", "pass", cwd=tmp_path, **variables)
        assert err == ("otel-genai: no GenAI calls were made\n" if printed else "")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--report", "nosuch/page.html"), "--report: no such folder: {tmp}/nosuch"),
        (("--report", "scratch"), "--report: scratch is a directory"),
        (("--record", "nosuch/sub/run.jsonl"), "--record: cannot write {tmp}/nosuch/sub: No such file or directory"),
        (("--record", "app.py"), "--record: {tmp}/app.py is no recording, and is left as it is"),
    ],
)
def test_a_file_that_cannot_be_written_is_one_line_before_the_run(
    options: tuple[str, ...], sentence: str, variables: dict[str, str], tmp_path: Path
) -> None:
    done = outcome((*SUMMARISED_RUN, *options), "-c", "print('must not run')", cwd=tmp_path, **variables)
    assert done == (2, "", f"otel-genai run: {sentence.format(tmp=tmp_path)}\n")
    assert (tmp_path / "app.py").read_text() == CALLS


@pytest.mark.parametrize("function", ["json.dumps", "json:dumps=a,b", ":dumps"])
def test_an_impossible_function_is_one_line_before_the_run(function: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('ran')\n")
    assert outcome((*RUN, "--wrap", function), "app.py", cwd=tmp_path) == (
        2,
        "",
        f"otel-genai run: --wrap: {function!r} is not understood. Use: package.module:Class.method[=name]\n",
    )
