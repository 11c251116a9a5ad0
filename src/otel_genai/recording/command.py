"""`otel-genai report`: what recordings say, as a table, as JSON or CSV, or as a page. Here are its arguments and its front door.

Importing this needs the standard library only; what draws tables and pages (extra `report`) is imported when it is wanted.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_genai.recording.file.decode import Recordings, read
from otel_genai.recording.file.locking import NotARecordingError, files_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["CannotReportError", "add_arguments", "report"]

_LONG: Final = 20_000_000
"""Bytes; what is shorter is read before one could look at a progress bar."""


_EXAMPLES: Final = """\
examples:
  otel-genai report run.jsonl
  otel-genai report run*.jsonl -o report.html
  otel-genai report --compare before.jsonl after.jsonl
"""


class CannotReportError(Exception):
    """Why there is no report, in one line for the user."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `otel-genai report`."""
    parser.epilog = _EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a recording (one file a process)")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PAGE.html", help="also write one self-contained page with charts"
    )
    written = parser.add_mutually_exclusive_group()
    written.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")
    written.add_argument("--csv", action="store_true", help="print the figures as CSV instead of a table")
    parser.add_argument(
        "--compare",
        action="store_true",
        help="show two recordings beside each other, each with its child processes' files (run.<pid>.jsonl)",
    )


def report(arguments: argparse.Namespace) -> int:
    """Print what is asked for and return the exit status. Raises CannotReportError, or ImportError for want of the extra."""
    try:
        if arguments.compare:
            _compare(arguments)
        else:
            _report(arguments)
        sys.stdout.flush()
    except NotARecordingError as error:
        raise CannotReportError(str(error)) from error
    except BrokenPipeError:
        # Whoever read the output has seen enough; the interpreter would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _report(arguments: argparse.Namespace) -> None:
    from otel_genai.recording.analysis.statistics import figures
    from otel_genai.recording.output import export

    if arguments.output:
        # Before anything is read: it is a pity to read long and then have no plotly.
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
    # Of a name that is not there, reading says so.
    first, second = (_read(files_of(path) or [path]) for path in (one, other))
    found = pairs(figures(first.operations), figures(second.operations))
    if arguments.json:
        write_comparison_json(found, (first, second), sys.stdout)
    else:
        from otel_genai.recording.output.terminal_report import print_comparison

        print_comparison(found, (str(one), str(other)), sys.stdout)


def _read(files: Sequence[Path]) -> Recordings:
    with _progress(files) as advance:
        return read(files, advance)


@contextmanager
def _progress(files: Sequence[Path]) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while long files are read, if somebody may be looking."""
    total = sum(file.stat().st_size for file in files if file.exists())
    if total < _LONG or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=total)
        yield lambda count: bar.advance(task, count)
