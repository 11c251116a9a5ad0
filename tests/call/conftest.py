"""A patched toy library, and a clock that tests set."""

from __future__ import annotations

import sys
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.support.patched_toy import SPAN_IN_LIBRARY, PatchedToy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.providers import Recorded


@pytest.fixture
def toy(recorded: Recorded) -> Iterator[PatchedToy]:
    """The toy library, patched for the length of a test."""
    SPAN_IN_LIBRARY.clear()
    toy = PatchedToy(recorded)
    yield toy
    toy.patches.revert()
    del sys.modules["toy_library"]


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that advances by one second every time it is read, from 100 s. The wall clock stands at 5 s."""
    ticks = count(100)
    for module in ("call", "streamer"):
        monkeypatch.setattr(f"otel_genai.call.{module}.perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr("otel_genai.call.call.time_ns", lambda: 5_000_000_000)
