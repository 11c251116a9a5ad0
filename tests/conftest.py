"""What all tests share: errors of ours that are loud, telemetry in memory, and a model server on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_genai.guard import Guard
from recorded import Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def recorded() -> Recorded:
    """Providers of the test's own."""
    return Recorded()


@pytest.fixture(autouse=True)
def _loud(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of ours propagate, and the environment of whoever runs the tests has no say."""
    monkeypatch.setattr(Guard, "strict", True)
    for variable in (
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
    ):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def _lenient(_loud: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of ours are swallowed, as in an application."""
    monkeypatch.setattr(Guard, "strict", False)


@pytest.fixture(scope="session")
def model_server() -> Iterator[str]:
    """Base URL of a simulated model server."""
    from otel_genai.simulator import serve

    with serve() as url:
        yield url
