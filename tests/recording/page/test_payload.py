"""The page's data has every operation once, and a number for each time of a chunk."""

from __future__ import annotations

import gzip
import json
import struct
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.recording.file.decode import read_recordings
from otel_genai.recording.page.payload import payload
from tests.support.recording.json_lines import ERROR, Line, header, operation, stream, write

if TYPE_CHECKING:
    from pathlib import Path

    from otel_genai.recording.file.records import Recordings


def recordings(path: Path, *lines: Line) -> Recordings:
    return read_recordings([write(path / "run.jsonl", header(), *lines)])


def unpacked(text: str) -> tuple[dict[str, Any], list[int]]:
    """The JSON of the data, and the numbers after it."""
    packed = gzip.decompress(b64decode(text, validate=True))
    (length,) = struct.unpack_from("<I", packed)
    content, rest = packed[4 : 4 + length], packed[4 + length :]
    return json.loads(content), list(struct.unpack(f"<{len(rest) // 4}I", rest))


def test_an_operation_is_one_object_and_its_chunks_are_numbers(tmp_path: Path) -> None:
    content, numbers = unpacked(
        payload(
            recordings(
                tmp_path,
                stream(
                    [100_000, 250_000, 250_001],
                    began_us=2_000_000,
                    asked_us=[10, 110_000, 250_000],
                    tokens=[0, 2, 1],
                    output=3,
                    parent_span_id="ab",
                    phases_us={"queue": 5_000, "prefill": 95_000},
                    request={"stream": True, "temperature": 0.5},
                    response={"model": "model-2", "finish_reasons": ["stop", "length"]},
                ),
                operation(error=ERROR, unfinished=True),
            )
        )
    )
    assert content == {
        "began_ms": 1_760_000_000_000.0,
        "tick": 1e-6,
        "processes": [{"host": "node-1", "pid": 4242, "file": "run.jsonl"}],
        "operations": [
            {
                "operation": "chat",
                "provider": "openai",
                "model": "model-1",
                "process": 0,
                "trace": "0" * 31 + "1",
                "span": "0" * 15 + "1",
                "start": 0.0,
                "duration": 1.0,
                "unfinished": True,
                "error": ERROR,
            },
            {
                "operation": "chat",
                "provider": "openai",
                "model": "model-2",
                "process": 0,
                "trace": f"{2_000_001:032x}",
                "span": f"{2_000_001:016x}",
                "parent": "ab",
                "start": 2.0,
                "duration": 0.250001,
                "first_token": 0.25,
                "per_output_token": 2e-06,
                "stream": True,
                "chunks": 3,
                "counted": True,
                "usage": {"input": 100, "output": 3},
                "phases": {"queue": 0.005, "prefill": 0.095},
                "request": {"temperature": "0.5"},
                "response": {"finish_reasons": "stop, length"},
            },
        ],
    }
    assert numbers == [100_000, 150_000, 1, 99_990, 140_000, 1, 0, 2, 1]


def test_waits_of_hours_fit(tmp_path: Path) -> None:
    hours = 5 * 3_600_000_000
    content, (gap, wait) = unpacked(payload(recordings(tmp_path, stream([hours]))))
    assert content["tick"] == pytest.approx(hours / 1e6 / (2**32 - 1))
    assert gap * content["tick"] == wait * content["tick"] == pytest.approx(hours / 1e6)


def test_impossible_times_do_not_stop_the_report(tmp_path: Path) -> None:
    _, numbers = unpacked(
        payload(
            recordings(
                tmp_path,
                stream([500, 200], duration_us=1, tokens=[-1, 2**40]),
                stream([2**50], duration_us=1),
            )
        )
    )
    most = 2**32 - 1
    assert numbers == [500, 0, most, 500, 0, most, 0, most]


def test_a_chunk_takes_a_few_bytes_of_the_page(tmp_path: Path) -> None:
    times = [12_000 * number + number * number % 977 for number in range(1, 501)]
    lines = [stream(times, began_us=number * 50_000) for number in range(200)]
    few, many = (len(payload(recordings(tmp_path, *chosen))) for chosen in (lines[:100], lines))
    assert (many - few) / (100 * 500) < 8
