"""A recording has whole lines and every finished operation, whatever ends a process or fails a write."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import otel_genai
from otel_genai.recording import recorder
from otel_genai.recording.file.decode import read_recordings
from otel_genai.recording.recorder import Recorder
from tests.support.openai.clients import USER, client
from tests.support.openai.scripted_server import HELLO, Answer, completion, scripted
from tests.support.recording.files import HEADER, STREAM, lines, operation, operations, saved
from tests.support.recording.programs import CALLING, FILE, NO_SPAN, PATIENCE_S, outcome

if TYPE_CHECKING:
    from tests.support.providers import Recorded


def test_eight_threads_write_only_whole_lines(recording: Recorder) -> None:
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        for length in range(100):
            recording.write(operation(model=f"model-{number}", chunks=length * 5), NO_SPAN)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = operations(recording.path)
    expected = sorted((f"model-{number}", length * 5) for number in range(8) for length in range(100))
    assert sorted((line["request"]["model"], len(line.get("chunks_us", ()))) for line in found) == expected


def test_a_dropped_stream_is_recorded(run: Path, instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        # Observers are called in the order in which they were added: the recorder first.
        observed = threading.Semaphore(0)
        stop = otel_genai.observe(lambda *_: observed.release())
        for _ in range(20):
            next(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
        assert all(observed.acquire(timeout=PATIENCE_S) for _ in range(20))
        stop()
    assert [len(line["chunks_us"]) for line in operations(run)] == [1] * 20


def test_a_killed_process_leaves_a_readable_file(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    with scripted(Answer(completion())) as server:
        done = outcome(CALLING + "call()\ncall()\nos.kill(os.getpid(), signal.SIGKILL)", server.url, run)
    assert done == (-signal.SIGKILL, "", "")
    assert [line["type"] for line in lines(run)] == ["header", "operation", "operation"]


def test_a_stream_that_is_open_at_exit_is_recorded_as_unfinished(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    hold = threading.Event()
    with scripted(Answer(events=[*HELLO[:2], hold])) as server:
        done = outcome(CALLING + "stream = call(stream=True)\nnext(stream); next(stream)", server.url, run)
        hold.set()
    assert done == (0, "", "")
    (line,) = operations(run)
    assert (len(line["chunks_us"]), line["unfinished"]) == (2, True)


def test_a_cut_off_line_damages_no_other(tmp_path: Path) -> None:
    run = saved(tmp_path / "run.jsonl", HEADER, STREAM, b'{"type":"oper')
    made = Recorder(run, 1_000_000)
    made.write(operation(), NO_SPAN)
    made.stop()
    found = read_recordings([run])
    assert [one.process.pid for one in found.operations] == [7, os.getpid()]
    assert found.damaged == 1


@pytest.mark.parametrize(
    ("place", "reason"), [("no/such/run.jsonl", "No such file or directory"), (".", "Is a directory")]
)
def test_a_file_that_cannot_be_written_is_one_warning(
    place: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(FILE, str(tmp_path / place))
    otel_genai.instrument()
    with scripted(Answer(completion())) as server:
        for _ in range(2):
            assert client(server).chat.completions.create(model="gpt-4o", messages=USER).id == "chatcmpl-1"
    otel_genai.uninstrument()
    recorder.record_to(None, 0)
    assert [record.getMessage() for record in caplog.records if record.name == "otel_genai"] == [
        f"operations are not recorded to {tmp_path / place}: {reason}"
    ]
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_is_no_recording_is_left_as_it_is(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    run.write_text("print('an application')\n")
    otel_genai.instrument()
    otel_genai.uninstrument()
    (record,) = caplog.records
    assert record.getMessage() == f"operations are not recorded to {run}: the existing file is no recording"
    assert run.read_text() == "print('an application')\n"


FILLS_THE_DISK = """\
import resource, signal, sys
from pathlib import Path
from opentelemetry.trace import INVALID_SPAN
from otel_genai.recording.recorder import Recorder
sys.path.insert(0, sys.argv[2])
from tests.support.recording.files import operation
recorder = Recorder(Path(sys.argv[1]), 1_000_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
for _ in range(50):
    recorder.write(operation(), INVALID_SPAN)
print("unharmed")
"""


def test_a_full_disk_is_one_warning_and_the_application_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", FILLS_THE_DISK, str(run), str(Path(__file__).parents[2])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("unharmed\n", 0)
    assert done.stderr == f"operations are not recorded to {run}: No space left on device\n"
    found = read_recordings([run])
    assert (run.stat().st_size, found.damaged, found.limited) == (1500, 1, 0)
    assert len(found.operations) > 2


def test_the_users_umask_is_respected(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        Recorder(tmp_path / "run.jsonl", 1_000_000).stop()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run.jsonl").stat().st_mode) == 0o640
