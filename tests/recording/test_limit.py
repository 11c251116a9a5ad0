"""A recording stops at its size limit and counts the operations after that."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from otel_genai.recording.recorder import Recorder
from tests.support.openai.scripted_server import Answer, completion, scripted
from tests.support.recording.files import lines, operation
from tests.support.recording.programs import CALLING, NO_SPAN, outcome

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_recording_ends_at_its_limit_and_later_operations_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
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
        f"{limited.path} has reached its size limit: further operations are not recorded"
    ]


def test_after_the_limit_even_a_short_operation_is_left_out(tmp_path: Path) -> None:
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


def test_threads_report_the_limit_once_and_count_together(tmp_path: Path) -> None:
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
