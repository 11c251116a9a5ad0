"""`otel-genai report`: the figures of recordings as a table, JSON or CSV, or as a page.

Importing this needs the standard library only. The extra `report` is imported when a recording is read.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_genai.recording.file.locking import NotARecordingError, files_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_genai.recording.file.records import Recordings

__all__ = ["CannotReportError", "add_arguments", "report"]

_LONG_BYTES: Final = 20_000_000
"""A shorter recording is read before anyone could look at a progress bar."""

_EXAMPLES: Final = """\
examples:
  otel-genai report run.jsonl
  otel-genai report run*.jsonl -o report.html
  otel-genai report --compare before.jsonl after.jsonl
"""


class CannotReportError(Exception):
    """The reason why there is no report, in one line for the user."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `otel-genai report`."""
    parser.epilog = _EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a recording (one file per process)")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PAGE.html", help="also write one self-contained page with charts"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")
    form.add_argument("--csv", action="store_true", help="print the figures as CSV instead of a table")
    parser.add_argument(
        "--compare",
        action="store_true",
        help="show two recordings side by side, each with its child processes' files (run.<pid>.jsonl)",
    )


def report(arguments: argparse.Namespace) -> int:
    """Print the report and return the exit status. Raises CannotReportError, or ImportError without the extra."""
    try:
        if arguments.compare:
            _compare(arguments)
        else:
            _report(arguments)
        sys.stdout.flush()
    except NotARecordingError as error:
        raise CannotReportError(str(error)) from error
    except BrokenPipeError:
        # The reader has stopped, as `head` does. The interpreter would report the same error again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _report(arguments: argparse.Namespace) -> None:
    from otel_genai.recording.analysis.statistics import figures
    from otel_genai.recording.output import export

    if arguments.output:
        # First, so that a missing plotly is reported before a long recording is read.
        from otel_genai.recording.page.html import write_page
    recordings = _read(arguments.files)
    rows = figures(recordings.operations)
    if arguments.json:
        export.write_json(rows, recordings, sys.stdout)
    elif arguments.csv:
        export.write_csv(rows, sys.stdout)
    else:
        from otel_genai.recording.output.terminal_report import print_figures

        print_figures(rows, recordings, sys.stdout)
    if arguments.output:
        try:
            write_page(recordings, arguments.output)
        except OSError as error:
            raise CannotReportError(f"cannot write {arguments.output}: {error.strerror}") from error


def _compare(arguments: argparse.Namespace) -> None:
    from otel_genai.recording.analysis.comparison import pairs
    from otel_genai.recording.analysis.statistics import figures
    from otel_genai.recording.output.export import write_comparison_json

    if len(arguments.files) != 2 or arguments.output or arguments.csv:
        raise CannotReportError("--compare takes two recordings, and prints a table or --json")
    one, other = arguments.files
    # A name without any file is passed on: reading it says that it is missing.
    first, second = (_read(files_of(path) or [path]) for path in (one, other))
    found = pairs(figures(first.operations), figures(second.operations))
    if arguments.json:
        write_comparison_json(found, (first, second), sys.stdout)
    else:
        from otel_genai.recording.output.terminal_report import print_comparison

        print_comparison(found, (str(one), str(other)), sys.stdout)


def _read(files: Sequence[Path]) -> Recordings:
    from otel_genai.recording.file.decode import read_recordings

    with _progress(files) as advance:
        return read_recordings(files, advance)


@contextmanager
def _progress(files: Sequence[Path]) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while long files are read, if stderr is a terminal."""
    total = sum(file.stat().st_size for file in files if file.exists())
    if total < _LONG_BYTES or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=total)
        yield lambda count: bar.advance(task, count)
