"""Python processes that a run starts are part of it: each of their calls is seen once, and nothing else of them changes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.otlp.names import service_names, span_names
from tests.support.processes import CALL, PYTHON, RUN, SUMMARISED_RUN, outcome

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.otlp.receiver import Received


def measured_calls(received: Received) -> int:
    """Return the number of measured durations in all processes. A process exports its sum so far, perhaps more than once."""
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
    assert span_names(received) == calls * ["chat sim-small"]
    assert len({span.span_id for span in received.spans}) == calls
    assert service_names(received) == {"app"}
    assert measured_calls(received) == calls


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_the_summary_counts_the_calls_of_workers_and_removes_temporary_files(
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


def test_the_summary_adds_calls_of_workers_and_of_the_program(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROCESSES + "    call()\n")
    _, _, err = outcome(SUMMARISED_RUN, "app.py", "spawn", cwd=tmp_path, **variables)
    (figures,) = [line.split() for line in err.splitlines() if line.startswith("chat  ")]
    assert figures[:4] == ["chat", "sim-small", "5", "0"]
    assert "\nTrace of the last call\nchat sim-small  " in err


# ── which children ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("flags", "seen"), [([], True), (["-S"], False), (["-I"], False), (["-E"], False), (["-B", "-u"], True)]
)
def test_a_child_that_ignores_its_environment_is_not_instrumented(flags: list[str], seen: bool, tmp_path: Path) -> None:
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
    assert span_names(received) == ["chat sim-small"]
    assert service_names(received) == {"app"}


def test_a_run_within_a_run_has_a_summary_of_its_own(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(CALL + "call()")
    (tmp_path / "outer.py").write_text(f"import subprocess\nsubprocess.run({[*SUMMARISED_RUN, 'app.py']})")
    _, _, err = outcome(SUMMARISED_RUN, "outer.py", cwd=tmp_path, **variables)
    (figures,) = [line.split() for line in err.splitlines() if line.startswith("chat  ")]
    assert figures[:4] == ["chat", "sim-small", "1", "0"]
    assert err.endswith("otel-genai: no GenAI calls were made\n")


def test_no_child_is_instrumented_with_no_children(
    received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(PROCESSES)
    launcher = (*RUN, "--no-children")
    assert outcome(launcher, "app.py", "spawn", cwd=tmp_path, **variables)[:2] == (0, f"{4 * [0]}\n")
    assert received.spans == []


def test_a_child_that_imports_no_library_imports_nothing_of_this_package(tmp_path: Path) -> None:
    program = "import sys; print([name for name in sys.modules if name.startswith(('otel', 'opentele', 'importlib.', 'json'))])"
    (tmp_path / "app.py").write_text(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {program!r}])")
    plain = outcome(PYTHON, "app.py", cwd=tmp_path)
    assert outcome(RUN, "app.py", cwd=tmp_path) == plain


def test_a_child_has_the_search_path_of_a_child_of_plain_python(tmp_path: Path) -> None:
    program = "import sys; print(sys.path, sys.argv)"
    (tmp_path / "app.py").write_text(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {program!r}, 'x'])"
    )
    variables = {"PYTHONPATH": "theirs"}
    assert outcome(RUN, "app.py", cwd=tmp_path, **variables) == outcome(PYTHON, "app.py", cwd=tmp_path, **variables)
