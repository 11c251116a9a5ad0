"""Writes the output at the end of a run: the summary to stderr, and the page of graphs if there is `--report`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from otel_genai.guard import Guard

if TYPE_CHECKING:
    from pathlib import Path

    from otel_genai.runner.options import Options
    from otel_genai.runner.summary.collector import SummaryCollector

_PRINTING: Final = Guard("the summary is not printed")
_REPORTING: Final = Guard("the report is not written")


class RunOutput:
    """Written once, when the program has ended, and with it the children that it waits for."""

    def __init__(self, options: Options, scratch: Path) -> None:
        """`scratch` is the folder for temporary files. It need not exist."""
        self._options = options
        self._scratch = scratch
        self.collector: SummaryCollector | None = None
        """The collector of the summary, if there is one."""
        if options.summary:
            from otel_genai.runner.summary.collector import SummaryCollector

            self.collector = SummaryCollector(scratch)

    def write(self) -> None:
        """Print the summary, write the page, and remove temporary files."""
        if self.collector:
            with _PRINTING:
                self.collector.print()
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
        # The options create the file: without a line, it is no recording yet.
        found = [path for path in files_of(recording) if path.stat().st_size]
        if found:
            write_page(read_recordings(found), file)
            print(f"otel-genai: the report is in {file}", file=sys.stderr)
        else:
            print(f"otel-genai: {file} is not written: no GenAI library was imported", file=sys.stderr)
