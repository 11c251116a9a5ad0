"""The processes that a run starts are part of it: every call in them is seen once, and none is disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_genai.runner.children import config as children
from tests.support.processes import ENVIRONMENT, PATIENCE_S, PYTHON, RUN, SUMMARISED_RUN, outcome, signalled

if TYPE_CHECKING:
    from tests.support.otlp.receiver import Received

FOLDER = Path(children.__file__).with_name("on_path")

CALL = """\
def call(n=0):
    import openai
    with openai.OpenAI(max_retries=0) as client:
        client.chat.completions.create(model="sim-small", messages=[{"role": "user", "content": "hello"}])
    return n
"""


def names(received: Received) -> list[str]:
    return sorted(span.name for span in received.spans)


def services(received: Received) -> set[str]:
    return {
        attribute.value.string_value
        for resource in received.resources
        for attribute in resource.attributes
        if attribute.key == "service.name"
    }


def measured(received: Received) -> int:
    """How many calls the durations tell, over all processes: each sends its sum so far, and perhaps twice."""
    durations = [metric for metric in received.metrics if metric.name == "gen_ai.client.operation.duration"]
    points = [point for metric in durations for point in metric.histogram.data_points]
    return sum({point.start_time_unix_nano: point.count for point in points}.values())


# ── pools ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

POOL = (
    CALL
    + """
import multiprocessing, sys
if __name__ == "__main__":
    # Leaving the block terminates the workers.
    with multiprocessing.get_context(sys.argv[1]).Pool(4) as pool:
        print(pool.map(call, range(8), chunksize=1))
"""
)

EXECUTOR = (
    CALL
    + """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
if __name__ == "__main__":
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context(sys.argv[1])) as pool:
        print(list(pool.map(call, range(8))))
"""
)

PROCESSES = (
    CALL
    + """
import multiprocessing, sys
if __name__ == "__main__":
    processes = [multiprocessing.get_context(sys.argv[1]).Process(target=call) for _ in range(4)]
    for process in processes: process.start()
    for process in processes: process.join()
    print([process.exitcode for process in processes])
"""
)


@pytest.mark.parametrize("start", ["spawn", "forkserver", "fork"])
@pytest.mark.parametrize("program", [POOL, EXECUTOR, PROCESSES], ids=["pool", "executor", "processes"])
def test_every_call_of_every_worker_is_seen_once(
    program: str, start: str, received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(program)
    calls = 4 if program is PROCESSES else 8
    expected = f"{4 * [0] if program is PROCESSES else list(range(8))}\n"
    assert outcome(RUN, "app.py", start, cwd=tmp_path, **variables) == (0, expected, "")
    assert names(received) == calls * ["chat sim-small"]
    assert len({span.span_id for span in received.spans}) == calls
    assert services(received) == {"app"}
    assert measured(received) == calls


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_the_summary_tells_the_calls_of_workers_and_leaves_nothing_behind(
    start: str, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(POOL)
    (tmp_path / "scratch").mkdir()
    variables |= {"TMPDIR": str(tmp_path / "scratch")}
    status, _, err = outcome(SUMMARISED_RUN, "app.py", start, cwd=tmp_path, **variables)
    assert status == 0
    (figures,) = [line.split() for line in err.splitlines() if line.startswith("chat")]
    assert figures[:4] == ["chat", "sim-small", "8", "0"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_calls_in_a_worker_and_in_the_program_itself_are_one_sum(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROCESSES + "    call()\n")
    _, _, err = outcome(SUMMARISED_RUN, "app.py", "spawn", cwd=tmp_path, **variables)
    (figures,) = [line.split() for line in err.splitlines() if line.startswith("chat  ")]
    assert figures[:4] == ["chat", "sim-small", "5", "0"]
    assert "\nTrace of the last call\nchat sim-small  " in err


# ── children that do not end well ──────────────────────────────────────────────────────────────────────────────────────

KILLED = (
    CALL
    + """
import multiprocessing, os, signal, sys, time
def worker(pipe):
    call()
    pipe.send("called")
    while True: time.sleep(0.01)
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    ours, theirs = context.Pipe()
    process = context.Process(target=worker, args=(theirs,), daemon=True)
    process.start()
    ours.recv()
    if sys.argv[2] == "KILL": input()
    os.kill(process.pid, getattr(signal, "SIG" + sys.argv[2]))
    process.join(20)
    print(process.exitcode)
"""
)


@pytest.mark.parametrize("start", ["spawn", "forkserver", "fork"])
def test_a_worker_that_is_terminated_has_told_all(
    start: str, received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(KILLED)
    assert outcome(RUN, "app.py", start, "TERM", cwd=tmp_path, **variables) == (0, "-15\n", "")
    assert names(received) == ["chat sim-small"]


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_a_worker_that_hangs_in_native_code_is_terminated_all_the_same(
    start: str, received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    # Locking this twice waits for ever, and no signal wakes it up.
    stuck = "import ctypes; lock, c = ctypes.create_string_buffer(64), ctypes.CDLL(None)\n    while True: c.pthread_mutex_lock(lock)"
    (tmp_path / "app.py").write_text(KILLED.replace("while True: time.sleep(0.01)", stuck))
    assert outcome(RUN, "app.py", start, "TERM", cwd=tmp_path, **variables) == (0, "-15\n", "")
    assert names(received) == ["chat sim-small"]


def test_a_worker_that_has_forked_is_terminated_in_the_same_way(
    received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    forking = "call()\n    if os.fork() == 0: os._exit(0)\n    os.wait()\n    call()\n    pipe.send"
    (tmp_path / "app.py").write_text(KILLED.replace("call()\n    pipe.send", forking))
    assert outcome(RUN, "app.py", "spawn", "TERM", cwd=tmp_path, **variables) == (0, "-15\n", "")
    assert names(received) == 2 * ["chat sim-small"]


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_a_worker_that_is_killed_loses_no_more_than_the_last_half_second(
    start: str, received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(KILLED)
    with subprocess.Popen(
        [*RUN, "app.py", start, "KILL"],
        cwd=tmp_path,
        env=ENVIRONMENT | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        # It is killed once the span has come, which the usual five seconds would make this wait for in vain.
        assert received.wait_for_spans(1, patience=4)
        out, _ = process.communicate("\n", timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, "-9\n")
    assert names(received) == ["chat sim-small"]


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_a_collector_that_is_not_there_holds_no_worker_up(
    start: str, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(
        KILLED.replace(
            "process.join(20)", "since = time.monotonic(); process.join(20); print(time.monotonic() - since < 5)"
        )
    )
    variables |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_METRICS_EXPORTER": "none"}
    status, out, _ = outcome(RUN, "app.py", start, "TERM", cwd=tmp_path, **variables)
    assert (status, out) == (0, "True\n-15\n")


def test_terminating_a_fork_of_a_worker_leaves_the_worker_alone(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        CALL
        + """
import multiprocessing, os, signal, time
def worker():
    call()
    pid = os.fork()
    if pid == 0:
        while True: time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=worker)
    process.start()
    process.join()
    print(process.exitcode)
"""
    )
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables) == (0, "-15\n0\n", "")


def test_a_worker_that_handles_sigterm_by_itself_does_so(
    received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    handling = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n    call()\n    pipe.send"
    (tmp_path / "app.py").write_text(KILLED.replace("call()\n    pipe.send", handling))
    assert outcome(RUN, "app.py", "spawn", "TERM", cwd=tmp_path, **variables) == (0, "5\n", "")
    assert names(received) == ["chat sim-small"]


def test_a_worker_that_restores_the_default_and_signals_itself_loses_nothing(
    received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    restoring = (
        "signal.signal(signal.SIGTERM, lambda *_: None)\n    call()\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_DFL)\n    signal.raise_signal(signal.SIGTERM)\n    pipe.send"
    )
    source = KILLED.replace("call()\n    pipe.send", restoring).replace("ours.recv()", "pass")
    (tmp_path / "app.py").write_text(
        source.replace('os.kill(process.pid, getattr(signal, "SIG" + sys.argv[2]))', "pass")
    )
    assert outcome(RUN, "app.py", "spawn", "TERM", cwd=tmp_path, **variables) == (0, "-15\n", "")
    assert names(received) == ["chat sim-small"]


def test_a_fork_that_leaves_at_once_is_no_worse_off(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        CALL
        + "import os\ncall()\nif os.fork() == 0:\n    call()\n    os._exit(3)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables) == (0, "3\n", "")


def test_terminating_a_run_ends_its_workers_as_ever_and_loses_nothing(
    received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(
        CALL
        + """
import multiprocessing, signal, sys, time
def worker(pipe):
    call()
    pipe.send("called")
    while True: time.sleep(0.01)
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=worker, args=(theirs,), daemon=True)
    process.start()
    def leave(*_):
        process.terminate()
        process.join()
        sys.exit(4)
    signal.signal(signal.SIGTERM, leave)
    ours.recv()
    call()
    print("ready", flush=True)
    while True: time.sleep(0.01)
"""
    )
    assert signalled(RUN, "app.py", number=signal.SIGTERM, cwd=tmp_path, **variables) == (4, "", "")
    assert names(received) == 2 * ["chat sim-small"]


# ── which children ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("flags", "seen"), [([], True), (["-S"], False), (["-I"], False), (["-E"], False), (["-B", "-u"], True)]
)
def test_a_child_that_ignores_the_environment_is_left_alone(flags: list[str], seen: bool, tmp_path: Path) -> None:
    # `-S` leaves out the place where packages are installed, too.
    places = [place for place in sys.path if place]
    program = f"import sys; sys.path += {places}; import openai; print('otel_genai.instrumentors' in sys.modules)"
    (tmp_path / "app.py").write_text(
        f"import subprocess, sys\nsubprocess.run([sys.executable, *{flags}, '-c', {program!r}])"
    )
    assert outcome(RUN, "app.py", cwd=tmp_path) == (0, f"{seen}\n", "")


@pytest.mark.parametrize("launcher", [RUN, (*RUN, "--no-children")], ids=["with", "without"])
def test_a_run_within_a_run_is_set_up_once(
    launcher: tuple[str, ...], received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(
        CALL + "call()\nimport os\nprint(os.environ.get('PYTHONPATH', '').count('on_path'))"
    )
    (tmp_path / "outer.py").write_text(f"import subprocess\nsubprocess.run({[*launcher, 'app.py']})")
    assert outcome(RUN, "outer.py", cwd=tmp_path, **variables) == (0, "0\n" if launcher is not RUN else "1\n", "")
    assert names(received) == ["chat sim-small"]
    assert services(received) == {"app"}


def test_a_run_within_a_run_has_a_summary_of_its_own(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(CALL + "call()")
    (tmp_path / "outer.py").write_text(f"import subprocess\nsubprocess.run({[*SUMMARISED_RUN, 'app.py']})")
    _, _, err = outcome(SUMMARISED_RUN, "outer.py", cwd=tmp_path, **variables)
    (figures,) = [line.split() for line in err.splitlines() if line.startswith("chat  ")]
    assert figures[:4] == ["chat", "sim-small", "1", "0"]
    assert err.endswith("otel-genai: no GenAI calls were made\n")


def test_no_children_means_none(received: Received, variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROCESSES)
    launcher = (*RUN, "--no-children")
    assert outcome(launcher, "app.py", "spawn", cwd=tmp_path, **variables)[:2] == (0, f"{4 * [0]}\n")
    assert received.spans == []


def test_a_child_that_imports_no_library_imports_nothing_of_ours(tmp_path: Path) -> None:
    program = "import sys; print([name for name in sys.modules if name.startswith(('otel', 'opentele', 'importlib.', 'json'))])"
    (tmp_path / "app.py").write_text(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {program!r}])")
    plain = outcome(PYTHON, "app.py", cwd=tmp_path)
    assert outcome(RUN, "app.py", cwd=tmp_path) == plain


def test_a_child_has_the_search_path_that_it_would_have(tmp_path: Path) -> None:
    program = "import sys; print(sys.path, sys.argv)"
    (tmp_path / "app.py").write_text(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {program!r}, 'x'])"
    )
    variables = {"PYTHONPATH": "theirs"}
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables) == outcome(PYTHON, "app.py", cwd=tmp_path, **variables)


# ── sitecustomize ──────────────────────────────────────────────────────────────────────────────────────────────────────


def python(source: str, *path: Path, cwd: Path, **variables: str) -> tuple[int, str, str]:
    """A Python process with our folder on its path, and others after it."""
    places = os.pathsep.join(map(str, [FOLDER, *path]))
    return outcome(PYTHON, "-c", source, cwd=cwd, PYTHONPATH=places, **variables)


def test_without_the_marker_it_does_nothing(tmp_path: Path) -> None:
    source = "import sys, openai; print('otel_genai' in sys.modules, 'opentelemetry' in sys.modules)"
    assert python(source, cwd=tmp_path) == (0, "False False\n", "")


@pytest.mark.parametrize("marker", [{}, {"OTEL_GENAI_RUN": "openai {}"}], ids=["unmarked", "marked"])
@pytest.mark.parametrize(
    "theirs", ["print('theirs')", "raise ValueError('broken')", "import nosuch"], ids=["works", "raises", "lacks"]
)
def test_another_sitecustomize_is_run_as_it_would_be(theirs: str, marker: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(theirs)
    source = "import sys; print(getattr(sys.modules.get('sitecustomize'), '__file__', None))"
    expected = outcome(PYTHON, "-c", source, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert "theirs" in expected[1] or "sitecustomize" in expected[2]
    assert python(source, tmp_path, cwd=tmp_path, **marker) == expected


@pytest.mark.parametrize(
    "marker", ["openai", "openai {", "openai {}", 'openai {"third_party": 3}', "openai \N{SNOWMAN}"], ids=range(5)
)
def test_a_marker_that_cannot_be_read_is_ignored(marker: str, tmp_path: Path) -> None:
    assert python("import openai; print('fine')", cwd=tmp_path, OTEL_GENAI_RUN=marker) == (0, "fine\n", "")


@pytest.mark.parametrize("missing", ["otel_genai", "opentelemetry", "opentelemetry.sdk"])
def test_an_environment_without_what_we_need_is_left_alone(missing: str, tmp_path: Path) -> None:
    source = f"import sys; sys.modules[{missing!r}] = None; import openai; print('fine')"
    marker = 'openai {"service_name": "app", "third_party": [], "calls_folder": null, "trace_headers": null}'
    assert python(source, cwd=tmp_path, OTEL_GENAI_RUN=marker) == (0, "fine\n", "")


def test_settings_that_cannot_be_followed_are_not_said_again_by_children(tmp_path: Path) -> None:
    marker = 'openai {"service_name": "app", "third_party": [], "calls_folder": null, "trace_headers": null}'
    variables = {"OTEL_GENAI_RUN": marker, "OTEL_TRACES_EXPORTER": "nosuch"}
    assert python("import openai; print('fine')", cwd=tmp_path, **variables) == (0, "fine\n", "")


def test_a_child_waits_for_a_library_that_we_need_ourselves(tmp_path: Path) -> None:
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
    # Whose file it is depends on whether asyncio was there in the parent already.
    lines = [json.loads(line) for file in tmp_path.glob("run*.jsonl") for line in file.read_text().splitlines()]
    assert [line["request"]["operation"] for line in lines if line["type"] == "operation"] == ["loop"]
