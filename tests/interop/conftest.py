"""Where the programs come from: an environment of their own, without which there is nothing here to run them with."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from otlp_receiver import Received, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

# The browser's tests skip by themselves; these would fail.
collect_ignore = [] if find_spec("guidellm") else ["test_programs.py", "test_servers.py"]


@pytest.fixture
def received() -> Iterator[Received]:
    """A collector for the programs."""
    with receiver() as received:
        yield received


@pytest.fixture
def variables(received: Received, model_server: str) -> dict[str, str]:
    """Where calls and telemetry of the programs go."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
        "OPENAI_BASE_URL": model_server,
        "OPENAI_API_KEY": "unused",
    }
