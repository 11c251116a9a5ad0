"""Recordings are read back as they were written. Damaged lines are counted, unknown ones skipped, other files refused."""

from __future__ import annotations

import gc
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.operation import Operation, Request, Response, Side, Timing, Usage
from otel_genai.recording.file import encode
from otel_genai.recording.file.decode import read_recordings
from otel_genai.recording.file.locking import NotARecordingError
from otel_genai.recording.file.records import Process
from tests.support.recording.files import HEADER, STREAM, operation, saved

if TYPE_CHECKING:
    from pathlib import Path

from opentelemetry import trace


def test_an_operation_is_read_with_its_times_in_seconds(tmp_path: Path) -> None:
    run = saved(tmp_path / "run.jsonl", HEADER, STREAM)
    found = read_recordings([run])
    process = Process(
        host="node-1",
        pid=7,
        command=("python", "app.py"),
        versions={"python": "3.11.9", "otel-genai": "0.1"},
        path=run,
    )
    assert found.processes == [process]
    (one,) = found.operations
    assert one.process == process
    assert (one.trace_id, one.span_id, one.parent_span_id) == ("0" * 31 + "1", "0" * 15 + "1", "0" * 15 + "a")
    assert (one.operation, one.provider, one.model, one.side) == ("chat", "openai", "model-1-0806", "client")
    assert (one.stream, one.unfinished, one.error) == (True, False, None)
    assert one.request["temperature"] == 0.5
    assert one.response["finish_reasons"] == ["stop"]
    assert one.usage == {"input": 100, "output": 3}
    assert one.began_ns == 1_760_000_000_000_000_000
    assert (one.duration, one.first_token) == (0.4, 0.25)
    assert [*one.asked] == [0.0, 0.15, 0.25]
    assert [*one.chunks] == [0.15, 0.25, 0.4]
    assert [*one.tokens] == []
    assert one.phases == {}
    assert (found.damaged, found.limited, found.left_out) == (0, 0, 0)


def test_a_written_operation_is_read_back(tmp_path: Path) -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(0xA1, 0xB2, is_remote=False))
    finished = Operation(
        request=Request(operation="chat", provider="vllm", side=Side.SERVER, model="asked"),
        response=Response(usage=Usage(output=5)),
        timing=Timing(began_ns=17, started=2.0, ended=2.5, chunks=[2.1, 2.2], waits=[0.0, 0.0], tokens=[1, 4]),
        unfinished=True,
    )
    (one,) = read_recordings([saved(tmp_path / "run.jsonl", HEADER, encode.operation(finished, span))]).operations
    assert (one.trace_id, one.span_id, one.parent_span_id) == (f"{0xA1:032x}", f"{0xB2:016x}", None)
    assert (one.side, one.model, one.stream, one.unfinished) == ("server", "asked", False, True)
    assert (one.began_ns, one.duration, one.first_token) == (17, 0.5, None)
    assert ([*one.asked], [*one.chunks], [*one.tokens]) == ([0.0, 0.1], [0.1, 0.2], [1, 4])
    assert one.usage == {"output": 5}


def test_an_error_and_phases_are_read(tmp_path: Path) -> None:
    error = {"type": "openai.RateLimitError", "summary": "RateLimitError 429"}
    phases = {"queue": 1500, "prefill": 20_000}
    run = saved(tmp_path / "run.jsonl", HEADER, STREAM | {"error": error, "phases_us": phases})
    (one,) = read_recordings([run]).operations
    assert one.error == error
    assert one.phases == {"queue": 0.0015, "prefill": 0.02}


def test_content_is_not_kept(tmp_path: Path) -> None:
    run = saved(tmp_path / "run.jsonl", HEADER, STREAM | {"content": {"gen_ai.input.messages": ["secret"]}})
    assert "secret" not in repr(read_recordings([run]))


def test_an_operation_belongs_to_the_process_of_the_last_header(tmp_path: Path) -> None:
    first = saved(tmp_path / "run.jsonl", HEADER, STREAM, HEADER | {"pid": 8}, STREAM)
    second = saved(tmp_path / "run.9.jsonl", HEADER | {"pid": 9}, STREAM)
    found = read_recordings([first, second])
    assert [one.process.pid for one in found.operations] == [7, 8, 9]
    assert [(process.pid, process.path) for process in found.processes] == [(7, first), (8, first), (9, second)]


# ── what cannot be read ────────────────────────────────────────────────────────────────────────────────────────────────

DAMAGED: dict[str, Any] = {
    "no JSON": b"}{\n",
    "no text": b"\xff\xfe\x00\n",
    "a hole in the disk": b"\0" * 4096 + b"\n",
    "no record": [],
    "no type": {},
    "no request": {"type": "operation"},
    "no start": {name: value for name, value in STREAM.items() if name != "began_ns"},
    "times that are none": STREAM | {"chunks_us": ["a", "b", "c"]},
    "times without end": STREAM | {"chunks_us": [1, 2, 10**400]},
    "as many asked as came": STREAM | {"asked_us": [1]},
    "as many tokens as chunks": STREAM | {"tokens": [1]},
    "request is text": STREAM | {"request": "chat"},
    "a model that is no name": STREAM | {"request": {"operation": "chat", "provider": "openai", "model": {}}},
    "an id that is a number": STREAM | {"trace_id": 7},
    "tokens in words": STREAM | {"usage": {"output": "many"}},
    "an error of no type": STREAM | {"error": {"type": 5}},
    "a header without a process": {"type": "header", "schema": 1},
    "depth": b"[" * 100_000 + b"\n",
    "cut off": json.dumps(STREAM).encode()[:-10],
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_is_counted_and_left_out(damaged: object, tmp_path: Path) -> None:
    last = isinstance(damaged, bytes) and not damaged.endswith(b"\n")
    found = read_recordings([saved(tmp_path / "run.jsonl", HEADER, STREAM, damaged, *([] if last else [STREAM]))])
    assert found.damaged == 1
    assert len(found.operations) == (1 if last else 2)
    assert len(found.processes) == 1


def test_additions_of_later_versions_are_skipped(tmp_path: Path) -> None:
    later = {"type": "weather", "temperature": 21}
    run = saved(tmp_path / "run.jsonl", HEADER | {"mood": "good"}, later, STREAM | {"colour": "green"})
    found = read_recordings([run])
    assert (len(found.operations), found.damaged) == (1, 0)


def test_nan_and_half_surrogate_pairs_are_no_damage(tmp_path: Path) -> None:
    odd = STREAM | {"request": STREAM["request"] | {"temperature": float("nan"), "model": "half a pair: \ud800"}}
    found = read_recordings([saved(tmp_path / "run.jsonl", HEADER, odd)])
    assert ([one.request["model"] for one in found.operations], found.damaged) == (["half a pair: \ud800"], 0)


def test_a_recording_at_its_limit_counts_the_missing_operations(tmp_path: Path) -> None:
    limit = {"type": "limit", "limit_bytes": 1000}
    ended = saved(tmp_path / "run.jsonl", HEADER, STREAM, limit, {"type": "limit", "left_out": 12})
    killed = saved(tmp_path / "run.9.jsonl", HEADER, limit)
    found = read_recordings([ended, killed])
    assert (found.limited, found.left_out, len(found.operations)) == (2, 12, 1)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"a,b,c\n1,2,3\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 5000, b"[]\n", b'{"type":"operation"}\n'],
    ids=["empty", "blank", "table", "image", "JSON", "headless"],
)  # fmt: skip
def test_a_file_that_is_no_recording_is_refused(content: bytes, tmp_path: Path) -> None:
    other = saved(tmp_path / "other", content)
    with pytest.raises(NotARecordingError) as refused:
        read_recordings([saved(tmp_path / "run.jsonl", HEADER), other])
    assert str(refused.value) == f"{other} is no recording: it does not begin with a header"


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotARecordingError) as missing:
        read_recordings([tmp_path / "none"])
    assert str(missing.value) == f"{tmp_path / 'none'}: No such file or directory"
    with pytest.raises(NotARecordingError) as folder:
        read_recordings([tmp_path])
    assert str(folder.value) == f"{tmp_path}: Is a directory"


def test_a_later_schema_is_refused(tmp_path: Path) -> None:
    run = saved(tmp_path / "run.jsonl", HEADER | {"schema": 2}, STREAM)
    with pytest.raises(NotARecordingError) as refused:
        read_recordings([run])
    assert str(refused.value) == f"{run} has schema 2, and this version of otel-genai reads schema 1"


# ── long recordings ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_progress_adds_up_to_the_bytes_of_all_files(tmp_path: Path) -> None:
    many = saved(tmp_path / "run.jsonl", HEADER, *[STREAM] * 6000)
    few = saved(tmp_path / "run.9.jsonl", HEADER)
    reported: list[int] = []
    read_recordings([many, few], reported.append)
    assert sum(reported) == many.stat().st_size + few.stat().st_size
    assert 3 <= len(reported) <= 6


def test_a_chunk_takes_little_more_memory_than_its_two_times(tmp_path: Path) -> None:
    line = encode.operation(operation(chunks=500), trace.INVALID_SPAN)
    run = saved(tmp_path / "run.jsonl", HEADER, *[line] * 200)
    tracemalloc.start()
    try:
        found = read_recordings([run])
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(len(one.chunks) for one in found.operations) == 100_000
    assert kept < 100_000 * 24
