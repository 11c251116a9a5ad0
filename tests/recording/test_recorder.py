"""A recording has the numbers of the spans, every chunk's times and whole lines only, however many write and however they end."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import otel_genai
from otel_genai.content import Message, Prompt, Text, Tool
from otel_genai.operation import Failure, Operation, Phase, Request, Response, Side, Timing, Usage
from otel_genai.recording import recorder
from otel_genai.recording.file import encode as written
from otel_genai.recording.file import locking
from otel_genai.recording.file.decode import read_recordings
from otel_genai.recording.file.locking import NotARecordingError, discard, files_of
from otel_genai.recording.recorder import Recorder
from tests.support.openai.clients import CAPTURE, USER, client
from tests.support.openai.scripted_server import HELLO, Answer, completion, scripted
from tests.support.providers import attribute
from tests.support.recording.files import HEADER, STREAM, lines, operation, operations, saved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.providers import Recorded

FILE = "OTEL_GENAI_RECORD_FILE"
PATIENCE_S = 60.0
NO_SPAN = trace.INVALID_SPAN


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where instrumentation will record to."""
    path = tmp_path / "run.jsonl"
    monkeypatch.setenv(FILE, str(path))
    yield path
    recorder.record_to(None, 0)


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recorder]:
    """A recorder of its own, that nothing is instrumented for."""
    made = Recorder(tmp_path / "run.jsonl", 100_000_000)
    yield made
    made.stop()


# ── what is recorded ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_is_recorded_with_the_numbers_of_its_span(run: Path, instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        with instrumented.tracer_provider.get_tracer("app").start_as_current_span("work"):
            received = list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True, seed=3))
        port = int(server.url.rpartition(":")[2].partition("/")[0])
    span, outer = instrumented.spans(2)
    (line,) = operations(run)
    assert outer.context is not None
    assert span.context is not None
    assert span.start_time is not None
    assert span.end_time is not None
    times = {name: line.pop(name) for name in ("duration_us", "first_token_us", "asked_us", "chunks_us", "started_ns")}
    assert line == {
        "type": "operation",
        "trace_id": f"{outer.context.trace_id:032x}",
        "span_id": f"{span.context.span_id:016x}",
        "parent_span_id": f"{outer.context.span_id:016x}",
        "began_ns": span.start_time,
        "request": {
            "operation": "chat",
            "provider": "openai",
            "model": "gpt-4o",
            "api": "chat_completions",
            "server_address": "127.0.0.1",
            "server_port": port,
            "stream": True,
            "seed": 3,
        },
        "response": {
            "id": "chatcmpl-1",
            "model": "gpt-4o-2024-08-06",
            "finish_reasons": ["stop"],
            "service_tier": "default",
            "system_fingerprint": "fp_1",
        },
        "usage": {"input": 9, "output": 3},
    }
    microsecond = 1e-6
    assert times["duration_us"] * 1000 == pytest.approx(span.end_time - span.start_time, abs=1000)
    first_chunk, first_token = (
        attribute(span, name)
        for name in ("gen_ai.response.time_to_first_chunk", "otel_genai.response.time_to_first_token")
    )
    assert times["chunks_us"][0] * microsecond == pytest.approx(first_chunk, abs=microsecond)
    assert times["first_token_us"] * microsecond == pytest.approx(first_token, abs=microsecond)
    assert times["first_token_us"] == times["chunks_us"][1]
    assert len(times["chunks_us"]) == len(times["asked_us"]) == len(received) == 5
    gaps = instrumented.metrics()["gen_ai.client.operation.time_per_output_chunk"][0]
    assert (gaps.count, gaps.sum) == (
        4,
        pytest.approx((times["chunks_us"][-1] - times["chunks_us"][0]) * microsecond, abs=microsecond),
    )


def test_every_chunk_has_when_it_was_asked_for_and_when_it_arrived(run: Path, instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    (line,) = operations(run)
    moments = [moment for pair in zip(line["asked_us"], line["chunks_us"], strict=True) for moment in pair]
    assert len(moments) == 10
    assert moments == sorted(moments)
    assert moments[0] > 0
    assert moments[-1] <= line["duration_us"]


def test_an_operation_is_one_line_of_json_with_times_in_microseconds_from_its_start() -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(0xA1, 0xB2, is_remote=False))
    finished = Operation(
        request=Request(operation="chat", provider="vllm", side=Side.SERVER, stop_sequences=("\n", "—")),
        response=Response(
            finish_reasons=("length",),
            usage=Usage(input=0, output=5, input_by_modality={"image": 2}),
        ),
        timing=Timing(
            began_ns=1_700_000_000_000_000_001,
            started=50.25,
            ended=51.0,
            chunks=[50.4, 50.7500006],
            waits=[0.0000004, 0.1],
            tokens=[1, 4],
            first_token=50.4,
        ),
        unfinished=True,
    )
    assert written.operation(finished, span).decode() == (
        '{"type":"operation",'
        '"trace_id":"000000000000000000000000000000a1","span_id":"00000000000000b2",'
        '"began_ns":1700000000000000001,"started_ns":50250000000,"duration_us":750000,'
        '"request":{"operation":"chat","provider":"vllm","stop_sequences":["\\n","—"],"side":"server"},'
        '"unfinished":true,'
        '"response":{"finish_reasons":["length"]},'
        '"usage":{"input":0,"output":5,"input_by_modality":{"image":2}},'
        '"first_token_us":150000,"asked_us":[0,250000],"chunks_us":[150000,500001],"tokens":[1,4]}\n'
    )


def test_an_operation_of_which_little_is_known_says_little() -> None:
    little = Operation(
        request=Request(operation="chat", provider="openai"), timing=Timing(began_ns=5, started=1.0, ended=2.0)
    )
    assert written.operation(little, NO_SPAN).decode() == (
        '{"type":"operation","began_ns":5,"started_ns":1000000000,"duration_us":1000000,'
        '"request":{"operation":"chat","provider":"openai"}}\n'
    )


def test_what_is_no_text_and_no_number_is_still_recorded() -> None:
    odd: Any = Path("model")
    line = written.operation(operation(model=odd), NO_SPAN) + written.operation(operation(model="\ud800"), NO_SPAN)
    assert line.count(b'"model":"model"') == 2
    assert line.count(b'"model":"?"') == 2


def test_an_error_is_recorded_without_its_words(run: Path, instrumented: Recorded) -> None:
    with scripted(Answer({"error": {"message": "secret prompt", "code": "rate_limit"}}, status=429)) as server:
        endpoint = client(server).chat.completions
        with pytest.raises(openai.RateLimitError):
            endpoint.create(model="gpt-4o", messages=USER)
    (line,) = operations(run)
    assert line["error"] == {"type": "openai.RateLimitError", "summary": "RateLimitError 429 rate_limit"}
    assert "secret prompt" not in run.read_text()


def test_a_span_that_is_not_sampled_is_recorded(run: Path, recorded: Recorded) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    otel_genai.instrument(**{**recorded.providers, "tracer_provider": provider})
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    otel_genai.uninstrument()
    (line,) = operations(run)
    assert (len(line["trace_id"]), len(line["span_id"])) == (32, 16)
    assert line["usage"]["output"] == 3


def test_with_no_sdk_there_are_no_ids(run: Path) -> None:
    otel_genai.instrument(tracer_provider=trace.NoOpTracerProvider())
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    otel_genai.uninstrument()
    (line,) = operations(run)
    assert {"trace_id", "span_id", "parent_span_id"} & line.keys() == set()
    assert line["usage"] == {"input": 9, "output": 3, "cache_read": 4, "reasoning": 1}


# ── content ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_content_is_recorded_unless_it_is_asked_for(run: Path, instrumented: Recorded) -> None:
    with scripted(Answer(completion()), Answer(events=HELLO)) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    assert len(operations(run)) == 2
    assert not any(words in run.read_text() for words in ("Say hello", "Hel", "content", "sk-secret"))


def test_captured_content_is_recorded_redacted_and_cut_to_length(
    run: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAPTURE, "SPAN_ONLY")
    monkeypatch.setenv("OTEL_GENAI_CONTENT_LENGTH_LIMIT", "6")
    otel_genai.instrument(**recorded.providers, redact=lambda text: text.replace("Say", "***"))
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    otel_genai.uninstrument()
    (line,) = operations(run)
    assert line["content"] == {
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "*** h…"}]}],
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "text", "content": "Hello!"}], "finish_reason": "stop"}
        ],
    }


def test_the_words_of_an_error_are_content() -> None:
    failed = Operation(
        request=Request(operation="chat", provider="openai"),
        timing=Timing(began_ns=5, started=1.0, ended=2.0),
        prompt=Prompt(messages=(Message("user", (Text("Hi"),)),), tools=(Tool("clock"),)),
        failure=Failure("ValueError", "ValueError", "no such thing as Hi", "a stack trace"),
    )
    assert written.operation(failed, NO_SPAN).endswith(
        b'"error":{"type":"ValueError","summary":"ValueError","message":"no such thing as Hi"},'
        b'"content":{"gen_ai.input.messages":[{"role":"user","parts":[{"type":"text","content":"Hi"}]}],'
        b'"gen_ai.tool.definitions":[{"type":"function","name":"clock"}]}}\n'
    )


# ── the header ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_recording_begins_with_who_records_and_when(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["app.py", "--api-key", "geheim", "--model=x"])
    otel_genai.instrument()
    otel_genai.uninstrument()
    (header,) = lines(run)
    assert [*header] == ["type", "schema", "wall_ns", "monotonic_ns", "host", "pid", "command", "versions"]
    assert (header["type"], header["schema"]) == ("header", 1)
    assert (header["host"], header["pid"]) == (os.uname().nodename, os.getpid())
    assert header["command"] == ["app.py", "--api-key", "***", "--model=x"]
    assert header["versions"]["otel-genai"] == otel_genai.__version__
    assert header["versions"]["openai"] == openai.__version__
    assert header["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))


def test_the_header_says_how_the_two_clocks_stand(run: Path, instrumented: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    header, line = lines(run)
    by_the_anchor = header["wall_ns"] + line["started_ns"] - header["monotonic_ns"]
    assert by_the_anchor == pytest.approx(line["began_ns"], abs=50_000_000)


# ── switching on and off ───────────────────────────────────────────────────────────────────────────────────────────────


def test_where_nothing_is_recorded_nothing_of_it_is_imported() -> None:
    script = (
        "import sys, otel_genai; otel_genai.instrument(); print(*[name for name in sys.modules if 'recording' in name])"
    )
    environment = {name: value for name, value in os.environ.items() if name != FILE}
    assert subprocess.check_output([sys.executable, "-c", script], env=environment, text=True) == "\n"


def test_a_stream_that_outlives_the_instrumentation_is_recorded(run: Path, recorded: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        otel_genai.instrument(**recorded.providers)
        stream = client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True)
        otel_genai.uninstrument()
        list(stream)
    (line,) = operations(run)
    assert line["usage"] == {"input": 9, "output": 3}


def test_instrumenting_anew_goes_on_with_the_recording_or_changes_to_another(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call() -> None:
        otel_genai.instrument()
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
        otel_genai.uninstrument()

    with scripted(Answer(completion())) as server:
        call()
        call()
        monkeypatch.setenv(FILE, str(tmp_path / "other.jsonl"))
        call()
        monkeypatch.delenv(FILE)
        call()
    assert [line["type"] for line in lines(run)] == ["header", "operation", "operation"]
    assert [line["type"] for line in lines(tmp_path / "other.jsonl")] == ["header", "operation"]


def test_a_recorder_that_was_stopped_is_forgotten(tmp_path: Path) -> None:
    made = Recorder(tmp_path / "run.jsonl", 1_000_000)
    stopped = weakref.ref(made)
    made.stop()
    del made
    gc.collect()
    assert stopped() is None


# ── files that cannot be written ───────────────────────────────────────────────────────────────────────────────────────


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
    assert record.getMessage() == f"operations are not recorded to {run}: what is there already is no recording"
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


# ── whole lines ────────────────────────────────────────────────────────────────────────────────────────────────────────


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


def test_streams_that_are_dropped_are_recorded_too(run: Path, instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        # Observers are told in the order in which they came.
        heard = threading.Semaphore(0)
        stop = otel_genai.observe(lambda *_: heard.release())
        for _ in range(20):
            next(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
        assert all(heard.acquire(timeout=PATIENCE_S) for _ in range(20))
        stop()
    assert [len(line["chunks_us"]) for line in operations(run)] == [1] * 20


def test_a_killed_process_leaves_a_readable_file(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    with scripted(Answer(completion())) as server:
        done = outcome(CALLING + "call()\ncall()\nos.kill(os.getpid(), signal.SIGKILL)", server.url, run)
    assert done == (-signal.SIGKILL, "", "")
    assert [line["type"] for line in lines(run)] == ["header", "operation", "operation"]


def test_a_stream_that_is_open_at_exit_is_recorded_as_far_as_it_came(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    hold = threading.Event()
    with scripted(Answer(events=[*HELLO[:2], hold])) as server:
        done = outcome(CALLING + "stream = call(stream=True)\nnext(stream); next(stream)", server.url, run)
        hold.set()
    assert done == (0, "", "")
    (line,) = operations(run)
    assert (len(line["chunks_us"]), line["unfinished"]) == (2, True)


# ── one file a process ─────────────────────────────────────────────────────────────────────────────────────────────────

CALLING = """\
import os, signal, subprocess, sys
import openai
import otel_genai
otel_genai.instrument()
client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-secret", max_retries=0)
def call(**options):
    return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], **options)
"""


def outcome(script: str, *arguments: str | Path, cwd: Path | None = None, **variables: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a script that records to the last of its arguments."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {FILE: str(arguments[-1])} | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


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


def test_forks_write_files_of_their_own_once_they_have_something_to_write(tmp_path: Path) -> None:
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


def test_a_fork_that_outlives_its_parent_writes_beside_it_wherever_it_has_gone(tmp_path: Path) -> None:
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


def test_processes_that_are_started_write_files_of_their_own(tmp_path: Path) -> None:
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


def test_a_line_that_was_cut_off_spoils_only_itself(tmp_path: Path) -> None:
    run = saved(tmp_path / "run.jsonl", HEADER, STREAM, b'{"type":"oper')
    made = Recorder(run, 1_000_000)
    made.write(operation(), NO_SPAN)
    made.stop()
    found = read_recordings([run])
    assert [one.process.pid for one in found.operations] == [7, os.getpid()]
    assert found.damaged == 1


def test_a_file_without_a_suffix_has_neighbours_too(tmp_path: Path) -> None:
    first, second = (Recorder(tmp_path / "run", 1_000_000) for _ in range(2))
    first.stop()
    second.stop()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run", f"run.{os.getpid()}"]


def test_where_all_names_are_taken_nothing_is_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorders = [Recorder(tmp_path / "run.jsonl", 1_000_000) for _ in range(3)]
    for one in recorders:
        one.stop()
    assert [record.getMessage() for record in caplog.records] == [
        f"operations are not recorded to {tmp_path / 'run.jsonl'}: other processes record to it"
    ]


def test_the_users_umask_is_respected(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        Recorder(tmp_path / "run.jsonl", 1_000_000).stop()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run.jsonl").stat().st_mode) == 0o640


def test_other_launchers_record_as_well(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    (tmp_path / "app.py").write_text(CALLING.replace("otel_genai.instrument()", "") + "call()")
    with scripted(Answer(completion())) as server:
        done = subprocess.run(
            [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable, tmp_path / "app.py", server.url],
            env=os.environ | {FILE: str(run)} | dict.fromkeys(
                ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"), "none"
            ),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert [line["type"] for line in lines(run)] == ["header", "operation"]


# ── the limit ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_that_is_full_says_so_and_the_rest_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    limited = Recorder(tmp_path / "run.jsonl", 2_000)
    for _ in range(100):
        limited.write(operation(), NO_SPAN)
    limited.stop()
    *recorded, limit, left_out = lines(limited.path)
    assert recorded[0]["type"] == "header"
    assert limit == {"type": "limit", "limit_bytes": 2_000}
    assert left_out == {"type": "limit", "left_out": 101 - len(recorded)}
    assert 3 < len(recorded) < 20
    assert limited.path.stat().st_size < 2_000 + 100
    assert [record.getMessage() for record in caplog.records] == [
        f"{limited.path} is as large as it may become: further operations are not recorded"
    ]


def test_what_came_after_the_limit_is_left_out_even_if_it_is_short(tmp_path: Path) -> None:
    limited = Recorder(tmp_path / "run.jsonl", 2_000)
    for chunks in (500, 0, 500):
        limited.write(operation(chunks=chunks), NO_SPAN)
    limited.stop()
    assert lines(limited.path)[1:] == [{"type": "limit", "limit_bytes": 2_000}, {"type": "limit", "left_out": 3}]


def test_the_limit_is_a_setting_and_the_count_is_written_at_exit(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    with scripted(Answer(completion())) as server:
        status, _, _ = outcome(CALLING + "call()\ncall()", server.url, run, OTEL_GENAI_RECORD_LIMIT="0")
    assert status == 0
    assert lines(run)[1:] == [{"type": "limit", "limit_bytes": 0}, {"type": "limit", "left_out": 2}]


def test_threads_that_find_a_file_full_say_so_once_and_count_together(tmp_path: Path) -> None:
    limited = Recorder(tmp_path / "run.jsonl", 0)
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(200):
            limited.write(operation(), NO_SPAN)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    limited.stop()
    assert lines(limited.path)[1:] == [{"type": "limit", "limit_bytes": 0}, {"type": "limit", "left_out": 1600}]


# ── the files of a run ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_files_of_a_run_are_those_of_its_processes(tmp_path: Path) -> None:
    for name in (
        "run.jsonl",
        "run.12.jsonl",
        "run.7.jsonl",
        "run.old.jsonl",
        "running.jsonl",
        "run.7.json",
        "run.7.x.jsonl",
    ):
        saved(tmp_path / name, HEADER)
    assert [file.name for file in files_of(tmp_path / "run.jsonl")] == ["run.jsonl", "run.12.jsonl", "run.7.jsonl"]
    assert files_of(tmp_path / "none.jsonl") == []
    assert files_of(tmp_path / "no" / "such.jsonl") == []


def test_a_run_that_is_discarded_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    for name in ("run.jsonl", "run.12.jsonl", "run.old.jsonl"):
        saved(tmp_path / name, HEADER)
    discard(run)
    assert [file.name for file in tmp_path.iterdir()] == ["run.old.jsonl"]
    discard(run)


def test_what_is_no_recording_or_still_written_to_is_not_discarded(tmp_path: Path, recording: Recorder) -> None:
    foreign = saved(tmp_path / "notes.jsonl", {"type": "note"})
    saved(tmp_path / "notes.3.jsonl", HEADER)
    with pytest.raises(NotARecordingError, match=r"notes.jsonl is no recording, and is left as it is$"):
        discard(foreign)
    with pytest.raises(OSError, match="another process records to it"):
        discard(recording.path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["notes.3.jsonl", "notes.jsonl", "run.jsonl"]


def test_a_file_is_given_back_when_nobody_writes_to_it_any_more(recording: Recorder) -> None:
    assert locking.claim(recording.path).size == 0  # the one beside it
    recording.stop()
    assert locking.claim(recording.path).size > 0


# ── the documentation ──────────────────────────────────────────────────────────────────────────────────────────────────

PAGE = (Path(__file__).parents[2] / "docs" / "recording.md").read_text(encoding="utf-8")


def test_every_key_of_a_line_is_documented() -> None:
    whole = Operation(
        request=Request(operation="chat", provider="toy"),
        response=Response(id="1", usage=Usage(input=1), extra={"otel_genai.bytes": 7}),
        timing=Timing(
            began_ns=1,
            started=0.0,
            ended=2.0,
            chunks=[1.0],
            waits=[0.0],
            tokens=[1],
            phases=(Phase("queue", 0.0, 0.25), Phase("decode", 0.5, 1.0), Phase("decode", 1.5, 2.0)),
            first_token=1.0,
        ),
        prompt=Prompt(),
        failure=Failure("ValueError", "ValueError", "words"),
        unfinished=True,
    )
    line = json.loads(
        written.operation(whole, TracerProvider(shutdown_on_exit=False).get_tracer("toy").start_span("x"))
    )
    assert line["phases_us"] == {"queue": 250_000, "decode": 1_000_000}
    keys = {*HEADER, *line, *line["error"], "parent_span_id", "limit_bytes", "left_out"} - {"type"}
    parts = {*Request._fields, *Response._fields, *Usage._fields, "facts"} - {"usage", "messages", "extra"}
    assert len(line) == 17
    assert line["response"] == {"id": "1", "facts": {"otel_genai.bytes": 7}}
    assert [key for key in sorted(keys | parts) if f"`{key}`" not in PAGE] == []


def test_the_pages_lines_can_be_read_and_its_program_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
    (program, _) = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    run = saved(tmp_path / "run.jsonl", *(f"{line}\n".encode() for line in example.replace("\n ", "").splitlines()))
    (one,) = read_recordings([run]).operations
    assert (one.model, one.first_token, len(one.chunks)) == ("sim-small", 0.038761, 9)
    printed = subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, text=True)
    assert printed == "38761 [249, 162, 134, 1080, 3200, 199, 279, 642]\n"
