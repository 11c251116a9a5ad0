"""Reports of recordings that a test describes line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_genai.cli import main
from otel_genai.recording.analysis.statistics import Figures, figures
from otel_genai.recording.file.decode import read_recordings
from tests.support.recording.json_lines import header, write

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def rows(path: Path, *recorded: dict[str, Any]) -> list[Figures]:
    """The figures of a recording of these operations."""
    return figures(read_recordings([write(path / "run.jsonl", header(), *recorded)]).operations)


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[object, str, str]:
    """Exit status, stdout and stderr of `otel-genai report`."""
    status: object
    try:
        status = main(["report", *map(str, arguments)])
    except SystemExit as leaving:
        status = leaving.code
    out, err = capsys.readouterr()
    return status, out, err
