"""Guards as in a new process, and instrumentation with bugs in its adapters."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import otel_genai
from otel_genai.endpoint.rows import CallRow
from otel_genai.guard import Guard
from otel_genai.instrumentors.openai.instrumentor import OpenAIInstrumentor
from tests.support.openai.clients import CAPTURE
from tests.support.openai.faults import Calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.providers import Recorded


@pytest.fixture(autouse=True)
def _guards_that_have_not_warned(_lenient: None) -> None:
    """No guard has warned yet."""
    for name, module in list(sys.modules.items()):
        if name.startswith("otel_genai"):
            for value in vars(module).values():
                if isinstance(value, Guard):
                    value._warned = False


@pytest.fixture
def instrument_with(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Calls]]:
    """A function that instruments with some functions of every endpoint replaced, content on, and returns the calls."""
    monkeypatch.setenv(CAPTURE, "SPAN_AND_EVENT")

    def with_bugs(**functions: Any) -> Calls:
        rows = [
            row._replace(endpoint=replace(row.resolve(), **functions)) if isinstance(row, CallRow) else row
            for row in OpenAIInstrumentor.rows
        ]
        monkeypatch.setattr(OpenAIInstrumentor, "rows", tuple(rows))
        otel_genai.instrument(**recorded.providers)
        return Calls()

    yield with_bugs
    otel_genai.uninstrument()
