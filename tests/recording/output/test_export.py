"""JSON and CSV have every figure of the table."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from tests.support.recording.json_lines import header, operation, stream, write
from tests.support.recording.report import answer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_json_has_all_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = write(
        tmp_path / "run.jsonl", header(), stream([100_000, 200_000, 300_000], usage={"output": 2}), "no line"
    )
    status, out, _ = answer(capsys, recording, "--json")
    assert status == 0
    unknown = {"count": 0, "p50": None, "p90": None, "p95": None, "p99": None}
    assert json.loads(out) == {
        "files": [str(recording)],
        "operations": 1,
        "damaged_lines": 1,
        "left_out": 0,
        "figures": [
            {
                "operation": "chat",
                "model": "model-1",
                "calls": 1,
                "errors": 0,
                "unfinished": 0,
                "duration": {"count": 1, "p50": 0.3, "p90": 0.3, "p95": 0.3, "p99": 0.3},
                "time_to_first_token": {"count": 1, "p50": 0.2, "p90": 0.2, "p95": 0.2, "p99": 0.2},
                "time_to_first_chunk": {"count": 1, "p50": 0.1, "p90": 0.1, "p95": 0.1, "p99": 0.1},
                "inter_chunk_latency": {"count": 2, "p50": 0.1, "p90": 0.1, "p95": 0.1, "p99": 0.1},
                "inter_token_latency": {"count": 2, "p50": 0.1, "p90": 0.1, "p95": 0.1, "p99": 0.1},
                "time_per_output_token": {"count": 1, "p50": 0.1, "p90": 0.1, "p95": 0.1, "p99": 0.1},
                "input_tokens": {"count": None, "complete": None},
                "output_tokens": {"count": 2, "complete": True},
                "output_tokens_per_second": {"of_a_call": 6.666666667, "in_all": 6.666666667},
            }
        ],
    }
    recording = write(tmp_path / "run.jsonl", header(), operation())
    (row,) = json.loads(answer(capsys, recording, "--json")[1])["figures"]
    assert row["time_to_first_token"] == unknown


def test_csv_is_the_flattened_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = write(
        tmp_path / "run.jsonl", header(), stream([100_000, 200_000], output=2), operation(name="embeddings")
    )
    found = list(csv.DictReader(io.StringIO(answer(capsys, recording, "--csv")[1])))
    assert [row["operation"] for row in found] == ["chat", "embeddings"]
    chat, embeddings = found
    assert list(chat)[:7] == ["operation", "model", "calls", "errors", "unfinished", "duration_count", "duration_p50"]
    assert (chat["duration_p50"], chat["output_tokens_complete"]) == ("0.2", "true")
    assert (chat["output_tokens_per_second_of_a_call"], chat["time_per_output_token_p99"]) == ("10.0", "0.0")
    assert embeddings["time_to_first_token_p50"] == ""
