"""The options of a run. An option that has an environment variable is short for setting it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_genai.runner.errors import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Not those of `config`, which takes milliseconds to import: a program without a GenAI library does not need it.
CAPTURE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
RECORD_FILE: Final = "OTEL_GENAI_RECORD_FILE"
SERVICE_NAME: Final = "OTEL_SERVICE_NAME"
WRAP: Final = "OTEL_GENAI_WRAP"


class Options(NamedTuple):
    """All options, with their defaults."""

    summary: bool = True
    """Whether to print the summary at the end."""
    children: bool = True
    """Whether Python processes that the program starts are instrumented, too."""
    service_name: str | None = None
    """The name of the service; `None` for the name of the program."""
    capture_content: bool = False
    """Whether prompts and responses are recorded."""
    third_party: tuple[str, ...] = ()
    """Entry points of instrumentors from other packages; `all` for all that are installed."""
    wrap: tuple[str, ...] = ()
    """Functions of any library that get a span: `package.module:Class.method[=name]`."""
    record: Path | None = None
    """The file that operations are recorded in."""
    report: Path | None = None
    """The HTML file that a page of graphs is written to."""

    def apply(self, scratch: Path) -> None:
        """Set the variables, for this process and its children; raises CannotRunError for files that cannot be written.

        `scratch` is a folder for a temporary recording. It need not exist.
        """
        if self.service_name:
            os.environ[SERVICE_NAME] = self.service_name
        if self.wrap:
            _check_functions(self.wrap)
            os.environ[WRAP] = ",".join(filter(None, [os.environ.get(WRAP, ""), *self.wrap]))
        # A variable that names a place for content is more exact than the option.
        if self.capture_content and os.environ.get(CAPTURE_CONTENT, "").strip().lower() in {"", "false", "no_content"}:
            os.environ[CAPTURE_CONTENT] = "SPAN_AND_EVENT"
        if self.report is not None:
            if not all(map(find_spec, ("msgspec", "plotly"))):
                raise CannotRunError("--report needs the extra 'report': pip install 'otel-genai[report]'")
            _check_report_file(self.report)
        if record := self.recording(scratch):
            _create_recording(record)
            # Children may have another working directory.
            os.environ[RECORD_FILE] = os.fspath(record)

    def recording(self, scratch: Path) -> Path | None:
        """Return the file that operations are recorded in: `None` without `--record` and `--report`."""
        if self.record is not None:
            return self.record.absolute()
        if self.report is None:
            return None
        named = os.environ.get(RECORD_FILE)
        return Path(named).absolute() if named else scratch / "run.jsonl"


def _check_functions(functions: Iterable[str]) -> None:
    from otel_genai.instrumentors.functions import row_of

    for function in functions:
        try:
            row_of(function)
        except ValueError as error:
            raise CannotRunError(f"--wrap: {error}") from None


def _check_report_file(file: Path) -> None:
    # A user wants to know before a long run, not after it.
    folder = file.absolute().parent
    if file.is_dir() or not os.access(file if file.exists() else folder, os.W_OK):
        reason = "is a directory" if file.is_dir() else "cannot be written"
        raise CannotRunError(f"--report: {file} {reason}" if folder.is_dir() else f"--report: no such folder: {folder}")


def _create_recording(record: Path) -> None:
    from otel_genai.recording.file.locking import NotARecordingError, discard

    try:
        discard(record)
        record.parent.mkdir(mode=0o700, exist_ok=True)
        record.touch()
    except NotARecordingError as error:
        raise CannotRunError(f"--record: {error}") from None
    except OSError as error:
        raise CannotRunError(f"--record: cannot write {error.filename or record}: {error.strerror}") from None
