"""Instrumentation with an event for every operation, and no log record of OpenTelemetry or ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import otel_genai

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.providers import Recorded


@pytest.fixture
def with_events(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """Everything instrumented, with an event for every operation."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "true")
    otel_genai.instrument(**recorded.providers)
    yield recorded
    otel_genai.uninstrument()


@pytest.fixture(autouse=True)
def _nothing_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """OpenTelemetry logs a context that is detached in another context than it was attached in."""
    yield
    # asyncio logs generators of the client that are left half-read, instrumented or not.
    records = [*caplog.get_records("call"), *caplog.records]
    assert [record for record in records if record.name.startswith(("opentelemetry", "otel_genai"))] == []
