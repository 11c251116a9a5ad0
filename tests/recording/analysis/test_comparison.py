"""Two recordings are compared by operation and model."""

# ruff: noqa: RUF001 - the dash is the report's own
from __future__ import annotations

import json
from typing import TYPE_CHECKING

from otel_genai.recording.analysis.comparison import compared, pairs
from tests.support.recording.json_lines import ERROR, header, operation, write
from tests.support.recording.report import answer, rows

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_two_recordings_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = write(tmp_path / "a.jsonl", header(), operation(duration_us=2_000_000), operation(name="embeddings"))
    second = write(tmp_path / "b.jsonl", header(), operation(duration_us=500_000, error=ERROR))
    status, out, err = answer(capsys, "--compare", first.name, second.name)
    assert (status, err) == (0, "")
    assert [line.rstrip() for line in out.splitlines()] == [
        "chat model-1  a.jsonl  b.jsonl  ratio",
        "─────────────────────────────────────",
        "calls               1        1  1.00x",
        "errors              0        1      –",
        "duration p50   2.00 s   500 ms  0.25x",
        "duration p90   2.00 s   500 ms  0.25x",
        "duration p95   2.00 s   500 ms  0.25x",
        "duration p99   2.00 s   500 ms  0.25x",
        "",
        "embeddings model-1: only in a.jsonl",
    ]


def test_a_comparison_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write(tmp_path / "a.jsonl", header(), operation(duration_us=2_000_000))
    second = write(tmp_path / "b.jsonl", header(), operation(duration_us=500_000), operation(duration_us=500_000))
    output = json.loads(answer(capsys, "--compare", "--json", first, second)[1])
    assert (output["first"]["operations"], output["second"]["operations"]) == (1, 2)
    (pair,) = output["figures"]
    assert (pair["operation"], pair["model"]) == ("chat", ["model-1", "model-1"])
    assert pair["compared"]["calls"] == {"first": 1, "second": 2, "ratio": 2.0}
    assert pair["compared"]["duration_p99"] == {"first": 2.0, "second": 0.5, "ratio": 0.25}


def test_a_replaced_model_is_compared_with_its_replacement(tmp_path: Path) -> None:
    old = rows(tmp_path, operation(model="old"), operation(model="same"), operation(name="embeddings"))
    new = rows(tmp_path, operation(model="new"), operation(model="same"))
    found = pairs(old, new)
    assert [(pair.operation, pair.models) for pair in found] == [
        ("chat", ("old", "new")),
        ("chat", ("same",)),
        ("embeddings", ("model-1",)),
    ]
    assert [one.ratio for one in compared(found[0])] == [1.0, None, 1.0, 1.0, 1.0, 1.0]


def test_with_several_models_left_over_none_is_compared(tmp_path: Path) -> None:
    old = rows(tmp_path, operation(model="old"), operation(model="older"))
    new = rows(tmp_path, operation(model="new"))
    assert [pair.models for pair in pairs(old, new)] == [("old",), ("older",), ("new",)]


def test_a_compared_recording_includes_its_child_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.jsonl", "a.17.jsonl", "a.b.jsonl", "b.jsonl"):
        write(tmp_path / name, header(), operation())
    output = json.loads(answer(capsys, "--compare", "--json", tmp_path / "a.jsonl", tmp_path / "b.jsonl")[1])
    assert output["figures"][0]["compared"]["calls"] == {"first": 2, "second": 1, "ratio": 0.5}
