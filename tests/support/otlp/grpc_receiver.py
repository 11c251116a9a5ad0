"""An OTLP/gRPC receiver for tests: it fills the same `Received` as the one for HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc

from tests.support.otlp.receiver import Received

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVICES: Final = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "/v1/traces",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "/v1/metrics",
    "opentelemetry.proto.collector.logs.v1.LogsService": "/v1/logs",
}
"""Service → the path of the same signal over HTTP."""


@contextmanager
def grpc_receiver() -> Iterator[Received]:
    """A receiver on a free port of the loopback interface, as long as the block lasts."""

    def exporting(path: str) -> Any:
        def export(body: bytes, _: object) -> bytes:
            received.add(path, body)
            # An empty message of any kind is no bytes at all.
            return b""

        return grpc.unary_unary_rpc_method_handler(export)

    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(service, {"Export": exporting(path)})
            for service, path in _SERVICES.items()
        ]
    )
    received = Received(f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    server.start()
    try:
        yield received
    finally:
        server.stop(grace=None).wait()
