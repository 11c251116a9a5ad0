"""The figures of calls in other processes of a run, for its summary: a line for each call, and no more than the summary shows.

A line is written at once, so that even a process that is killed has told. Nothing is written until there is a call.
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
"""For each process: about ten megabytes. Later ones are not in the summary."""


class ChildCalls:
    """Writes down the calls of this process; one that is forked off begins a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = -1
        self._process = 0
        self._calls = 0

    def add(self, operation: Operation) -> None:
        """Write one call down."""
        try:
            if self._process != os.getpid():
                self._begin()
            self._calls += 1
            if self._calls <= KEPT_CALLS:
                # Appended by one system call, so that threads cannot mix their lines.
                os.write(self._file, json.dumps(_line(operation)).encode() + b"\n")
        except OSError:
            # A full disk is nothing that a child has to talk of.
            self._calls = KEPT_CALLS

    def _begin(self) -> None:
        self._process = os.getpid()
        self._calls = 0
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._file = os.open(self._folder / str(self._process), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def read(folder: Path) -> Iterator[Operation]:
    """The calls that were written down, and nothing of a line that was cut off."""
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
