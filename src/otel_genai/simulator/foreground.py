"""The main thread, while the server runs on another one: waits for a signal, or runs a command to its end.

Signals wake an event loop up. A blocking call would miss a signal that arrives just before it blocks.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Sequence

NOT_EXECUTABLE = 126
NOT_FOUND = 127
SIGNALLED = 128
"""Exit statuses as in shells: 128 + n for a command that signal n ended."""


async def until_interrupted(ready: str, *, loading: float) -> None:
    """Print `ready` after `loading` seconds, and wait for SIGINT or SIGTERM, which a service manager sends in place of Ctrl-C."""
    signals = _signals()
    if loading and await _interrupted(signals, loading):
        return
    print(ready, file=sys.stderr, flush=True)
    await signals.get()


async def run(command: Sequence[str], *, base_url: str, loading: float) -> int:
    """Run a command whose OpenAI clients call this server, forward signals to it, and return its exit status.

    The command starts after `loading` seconds, unless a signal comes first.
    """
    # Before the command starts: a signal in between would end this process and leave the command running.
    signals = _signals()
    if loading and (number := await _interrupted(signals, loading)):
        return SIGNALLED + number
    environment = os.environ | {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "simulated"}
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environment)
    except OSError as error:
        print(f"otel-genai simulate: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    forwarding = asyncio.create_task(_forward(signals, process))
    status = await process.wait()
    forwarding.cancel()
    return status if status >= 0 else SIGNALLED - status


async def _interrupted(signals: asyncio.Queue[int], seconds: float) -> int | None:
    """The signal that comes within so many seconds; `None` if none does."""
    try:
        return await asyncio.wait_for(signals.get(), seconds)
    except TimeoutError:
        return None


def _signals() -> asyncio.Queue[int]:
    """A queue of the signals that ask this process to end, from now on."""
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    return signals


async def _forward(signals: asyncio.Queue[int], process: Process) -> None:
    while True:
        number = await signals.get()
        # The terminal has sent its Ctrl-C to the command, too. Many programs read a second one as "at once".
        if number != signal.SIGINT or not _in_terminal_foreground():
            with suppress(ProcessLookupError):
                process.send_signal(number)


def _in_terminal_foreground() -> bool:
    try:
        with Path("/dev/tty").open("rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
