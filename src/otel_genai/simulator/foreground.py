"""What the main thread does while the server runs on another one: wait for a signal, or run a command to its end.

Signals come through an event loop, which wakes up for them. A blocking call would sleep through one that arrives just
before it blocks.
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
"""Exit statuses as shells give them; a command that signal n ended has 128 + n."""


async def until_interrupted(ready: str, *, loading: float) -> None:
    """Print a line after `loading` seconds, and wait for SIGINT or SIGTERM: whoever stops a service means what Ctrl-C means."""
    signals = _signals()
    if loading and await _interrupted(signals, loading):
        return
    print(ready, file=sys.stderr, flush=True)
    await signals.get()


async def run(command: Sequence[str], *, base_url: str, loading: float) -> int:
    """Run a command whose OpenAI clients call this server, pass signals on to it, and return its exit status.

    It is started after `loading` seconds, if no signal comes before.
    """
    # Before the command starts: a signal in between would end us and leave it behind.
    signals = _signals()
    if loading and (number := await _interrupted(signals, loading)):
        return SIGNALLED + number
    environment = os.environ | {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "simulated"}
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environment)
    except OSError as error:
        print(f"otel-genai simulate: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    passing_on = asyncio.create_task(_pass_on(signals, process))
    status = await process.wait()
    passing_on.cancel()
    return status if status >= 0 else SIGNALLED - status


async def _interrupted(signals: asyncio.Queue[int], seconds: float) -> int | None:
    """The signal that comes within so many seconds, if one does."""
    try:
        return await asyncio.wait_for(signals.get(), seconds)
    except TimeoutError:
        return None


def _signals() -> asyncio.Queue[int]:
    """From now on, the signals that ask this process to end."""
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    return signals


async def _pass_on(signals: asyncio.Queue[int], process: Process) -> None:
    while True:
        number = await signals.get()
        # A terminal's Ctrl-C has reached the command already, and twice means "at once" to many programs.
        if number != signal.SIGINT or not _in_terminal_foreground():
            with suppress(ProcessLookupError):
                process.send_signal(number)


def _in_terminal_foreground() -> bool:
    try:
        with Path("/dev/tty").open("rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
