"""Recordings that tests begin, each of which is ended with its test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_genai.recording import recorder
from otel_genai.recording.recorder import Recorder
from tests.support.recording.programs import FILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
