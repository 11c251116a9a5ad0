"""What a run ends with: the summary on stderr, and the page if one was asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from otel_genai.guard import Guard

if TYPE_CHECKING:
    from pathlib import Path

    from otel_genai.runner.options import Options
    from otel_genai.runner.summary.collector import SummaryCollector

_SUMMARISING: Final = Guard("the summary is not printed")
_REPORTING: Final = Guard("the report is not written")


class RunOutput:
    """Drawn once, when all processes of the run that can be waited for have ended."""

    def __init__(self, options: Options, scratch: Path) -> None:
        """`scratch` is the folder for what nobody asked to keep; it need not exist."""
        self._options = options
        self._scratch = scratch
        self.report: SummaryCollector | None = None
        """What gathers for the summary."""
        if options.summary:
            from otel_genai.runner.summary.collector import SummaryCollector

            self.report = SummaryCollector(scratch)

    def draw(self) -> None:
        """Print the summary, write the page, clear away."""
        if self.report:
            with _SUMMARISING:
                self.report.print()
        if self._options.report:
            with _REPORTING:
                self._write_page(self._options.report)
        if self._scratch.is_dir():
            import shutil

            shutil.rmtree(self._scratch)

    def _write_page(self, file: Path) -> None:
        from otel_genai.recording.file.decode import read_recordings
        from otel_genai.recording.file.locking import files_of
        from otel_genai.recording.page.html import write_page

        recording = self._options.recording(self._scratch)
        assert recording is not None  # noqa: S101 - a report implies one
        # Touched before the run: without a single line it is not yet a recording.
        found = [path for path in files_of(recording) if path.stat().st_size]
        if found:
            write_page(read_recordings(found), file)
            print(f"otel-genai: the report is in {file}", file=sys.stderr)
        else:
            print(
                f"otel-genai: {file} is not written, since no library arrived that makes GenAI calls", file=sys.stderr
            )
