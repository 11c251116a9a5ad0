"""Each process writes a file of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from otel_genai.recording.file.decode import read_recordings
from otel_genai.recording.recorder import Recorder
from tests.support.openai.scripted_server import Answer, completion, scripted
from tests.support.recording.files import lines
from tests.support.recording.programs import CALLING, outcome

if TYPE_CHECKING:
    import pytest


FORKING = """\
call()
child = os.fork()
if child == 0:
    client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-secret", max_retries=0)
    call()
    call()
    grandchild = os.fork()
    if grandchild == 0:
        call()
        os._exit(0)
    os.waitpid(grandchild, 0)
    print(grandchild, flush=True)
    os._exit(0)
idle = os.fork()
if idle == 0:
    os._exit(0)
os.waitpid(child, 0)
os.waitpid(idle, 0)
call()
print(os.getpid(), child, flush=True)
"""


def test_a_fork_writes_a_file_of_its_own_from_its_first_operation_on(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    with scripted(Answer(completion())) as server:
        status, out, err = outcome(CALLING + FORKING, server.url, run)
    assert (status, err) == (0, "")
    grandchild, parent, child = out.split()
    found = {
        file.name: [(line["type"], line.get("pid")) for line in lines(file)] for file in sorted(tmp_path.iterdir())
    }
    operation: tuple[str, None] = ("operation", None)
    assert found == {
        "run.jsonl": [("header", int(parent)), operation, operation],
        f"run.{child}.jsonl": [("header", int(child)), operation, operation],
        f"run.{grandchild}.jsonl": [("header", int(grandchild)), operation],
    }


ORPHANED = """\
reading, writing = os.pipe()
os.chdir("/")
if os.fork() == 0:
    os.close(writing)
    os.read(reading, 1)  # returns when the parent is gone
    client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-secret", max_retries=0)
    call()
    print(os.getpid(), flush=True)
os._exit(0)
"""


def test_a_fork_that_outlives_its_parent_writes_beside_the_parents_file_from_any_working_directory(
    tmp_path: Path,
) -> None:
    with scripted(Answer(completion())) as server:
        status, child, err = outcome(CALLING + ORPHANED, server.url, Path("run.jsonl"), cwd=tmp_path)
    assert (status, err) == (0, "")
    assert {file.name: len(lines(file)) for file in tmp_path.iterdir()} == {
        "run.jsonl": 1,
        f"run.{child.strip()}.jsonl": 2,
    }


STARTING = """\
call()
if len(sys.argv) == 3:
    children = [subprocess.Popen([sys.executable, "-c", os.environ["SCRIPT"], sys.argv[1], "child", sys.argv[2]]) for _ in "12"]
    print(os.getpid(), *[child.pid for child in children])
    sys.exit(sum(child.wait() for child in children))
"""


def test_a_started_process_writes_a_file_of_its_own(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    with scripted(Answer(completion())) as server:
        status, out, err = outcome(CALLING + STARTING, server.url, run, SCRIPT=CALLING + STARTING)
    assert (status, err) == (0, "")
    parent, *children = out.split()
    assert {file.name: [line.get("pid") for line in lines(file)] for file in tmp_path.iterdir()} == {
        "run.jsonl": [int(parent), None],
        **{f"run.{child}.jsonl": [int(child), None] for child in children},
    }


def test_a_second_run_continues_the_file(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    with scripted(Answer(completion())) as server:
        for _ in range(2):
            assert outcome(CALLING + "call()", server.url, run) == (0, "", "")
    assert [line["type"] for line in lines(run)] == ["header", "operation"] * 2
    first, second = read_recordings([run]).processes
    assert first.pid != second.pid


def test_a_file_without_a_suffix_has_files_beside_it_too(tmp_path: Path) -> None:
    first, second = (Recorder(tmp_path / "run", 1_000_000) for _ in range(2))
    first.stop()
    second.stop()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run", f"run.{os.getpid()}"]


def test_without_a_free_file_name_nothing_is_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorders = [Recorder(tmp_path / "run.jsonl", 1_000_000) for _ in range(3)]
    for one in recorders:
        one.stop()
    assert [record.getMessage() for record in caplog.records] == [
        f"operations are not recorded to {tmp_path / 'run.jsonl'}: other processes record to it"
    ]
