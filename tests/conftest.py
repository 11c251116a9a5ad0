"""What all tests share: errors of ours that are loud, telemetry in memory, and a model server on loopback."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import openai
import pytest

import otel_genai
from otel_genai.guard import Guard
from otel_genai.telemetry import process_start
from tests.support.openai.clients import CAPTURE, MADE
from tests.support.providers import Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.operation import Operation
    from tests.support.otlp.receiver import Received

# Whoever starts the tests in the background has them, and all that they start, ignore some of the signals that they are about.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture
def recorded() -> Recorded:
    """Providers of the test's own."""
    return Recorded()


@pytest.fixture(autouse=True)
def _loud(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of ours propagate, and the environment of whoever runs the tests has no say."""
    monkeypatch.setattr(Guard, "strict", True)
    # The first generation of a process is an event, and which test that falls to is chance.
    monkeypatch.setattr(process_start, "_generated_in", os.getpid())
    for variable in (
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        "OTEL_GENAI_RECORD_FILE",
        "OTEL_GENAI_RECORD_LIMIT",
        "OTEL_GENAI_WRAP",
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
    ):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def _lenient(_loud: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of ours are swallowed, as in an application."""
    monkeypatch.setattr(Guard, "strict", False)


@pytest.fixture
def instrumented(recorded: Recorded) -> Iterator[Recorded]:
    """Everything instrumented, content off."""
    otel_genai.instrument(**recorded.providers)
    yield recorded
    otel_genai.uninstrument()


@pytest.fixture
def capturing(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """Everything instrumented, content on spans and events."""
    monkeypatch.setenv(CAPTURE, "true")
    otel_genai.instrument(**recorded.providers)
    yield recorded
    otel_genai.uninstrument()


@pytest.fixture
def operations() -> Iterator[list[Operation]]:
    """The operations that end meanwhile."""
    ended: list[Operation] = []
    stop = otel_genai.observe(lambda operation, _: ended.append(operation))
    yield ended
    stop()


@pytest.fixture(autouse=True)
def _closed_clients() -> Iterator[None]:
    yield
    while MADE:
        MADE.pop().close()


@pytest.fixture(scope="session")
def model_server() -> Iterator[str]:
    """Base URL of a simulated model server."""
    from otel_genai.simulator import serve

    with serve() as url:
        yield url


@pytest.fixture
def received() -> Iterator[Received]:
    """A collector for programs that a test starts."""
    from tests.support.otlp.receiver import receiver

    with receiver() as received:
        yield received


@pytest.fixture
def variables(received: Received, model_server: str) -> dict[str, str]:
    """Where the calls and the telemetry of such programs go."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
        "OPENAI_BASE_URL": model_server,
        "OPENAI_API_KEY": "unused",
    }


@pytest.fixture
def client(model_server: str) -> Iterator[openai.OpenAI]:
    """A client of the simulated model server."""
    with openai.OpenAI(base_url=model_server, api_key="unused", max_retries=0) as client:
        yield client
