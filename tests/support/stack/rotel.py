"""A real OTLP hop in place of the collector: it forwards telemetry from HTTP or gRPC to an endpoint."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.support.stack.programs import free_port, listens, running

if TYPE_CHECKING:
    from collections.abc import Iterator

Protocol = Literal["http", "grpc"]


@dataclass(frozen=True, slots=True)
class Hop:
    """The endpoints of the hop, by protocol."""

    http: str
    grpc: str


@contextmanager
def rotel(to: str, outbound: Protocol, folder: Path) -> Iterator[Hop]:
    """A hop that forwards traces, metrics and logs to the endpoint `to`."""
    spec = find_spec("rotel")
    assert spec, "rotel is not installed"
    assert spec.origin
    http, grpc = free_port(), free_port()
    command = (
        str(Path(spec.origin).with_name("rotel-agent")),
        "start",
        f"--otlp-http-endpoint=127.0.0.1:{http}",
        f"--otlp-grpc-endpoint=127.0.0.1:{grpc}",
        "--exporter=otlp",
        f"--otlp-exporter-endpoint={to}",
        f"--otlp-exporter-protocol={outbound}",
        "--batch-timeout=200ms",
    )
    with running(command, ready=lambda: listens(http) and listens(grpc), log=folder / "rotel.log"):
        yield Hop(f"http://127.0.0.1:{http}", f"http://127.0.0.1:{grpc}")
