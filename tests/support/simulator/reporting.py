"""A simulator in this process that reports its telemetry, as the command does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from otel_genai.simulator import server
from otel_genai.simulator.api.app import application
from otel_genai.simulator.in_process import server_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.simulator.telemetry import ServerTelemetry


@contextmanager
def serve_reporting(telemetry: ServerTelemetry, **options: Any) -> Iterator[str]:
    """The model "sim-8b" on a free port; gives the base URL. `options` are those of `server_config`."""
    config = server_config(["sim-8b"], telemetry=telemetry, **options)
    with server.running(application(config), server.listen("127.0.0.1", 0)) as base_url:
        yield base_url
