"""The calls of other processes of a run, for its summary: one line of JSON a call, with the values that the summary shows.

Each line is written at once, so that a process that is killed loses none. No file is made before the first call.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from otel_genai.operation import Failure, Operation, Request, Response, Timing, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEPT_CALLS: Final = 100_000
"""The most calls that one process writes, about ten megabytes. The summary leaves later calls out."""


class ChildCalls:
    """Writes the calls of this process to a file named by its process id; a fork begins a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = -1
        self._process = 0
        self._calls = 0

    def add(self, operation: Operation) -> None:
        """Write one call; an error of the file system ends the writing without a message."""
        try:
            if self._process != os.getpid():
                self._begin_file()
            self._calls += 1
            if self._calls <= KEPT_CALLS:
                # Appended by one system call, so that threads cannot mix their lines.
                os.write(self._file, json.dumps(_line(operation)).encode() + b"\n")
        except OSError:
            # A full disk is no reason for a child to print anything.
            self._calls = KEPT_CALLS

    def _begin_file(self) -> None:
        self._process = os.getpid()
        self._calls = 0
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._file = os.open(self._folder / str(self._process), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def read(folder: Path) -> Iterator[Operation]:
    """Yield the calls in the files of a folder; a line that was cut off is left out."""
    for file in folder.iterdir() if folder.is_dir() else ():
        if not file.name.isdecimal():
            continue
        for line in file.read_text().splitlines():
            try:
                yield _operation(json.loads(line))
            except (ValueError, TypeError):
                continue


def _line(operation: Operation) -> list[object]:
    request, timing, response = operation.request, operation.timing, operation.response
    return [
        request.operation,
        response.model or request.model,
        request.stream,
        operation.failure is not None,
        timing.duration,
        timing.time_to_first_token,
        response.usage and [response.usage.input, response.usage.output],
    ]


def _operation(line: list[Any]) -> Operation:
    name, model, stream, failed, duration, first_token, usage = line
    return Operation(
        request=Request(name, "", model, stream=stream),
        timing=Timing(0, 0.0, duration, first_token=first_token),
        response=Response(usage=Usage(*usage) if usage else None),
        failure=Failure("", "") if failed else None,
    )
