"""An OTLP/HTTP receiver for tests: what a program exports, decoded, in the order of arrival."""

from __future__ import annotations

import gzip
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Received:
    """What has arrived. A request is noted before it is answered, so whoever flushed and left has all of it here."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        self.paths: list[str] = []
        self.resources: list[Resource] = []
        self.spans: list[Span] = []
        self.metrics: list[Metric] = []
        self.logs: list[LogRecord] = []
        self.made_by: dict[bytes, Resource] = {}
        """Span id → the process that it comes from."""
        self._lock = threading.Lock()
        self._arrival = threading.Condition()

    def wait_for_spans(self, count: int, *, patience: float) -> bool:
        """Whether that many spans arrive within so many seconds."""
        return self.wait_for(lambda: len(self.spans) >= count, patience=patience)

    def wait_for(self, condition: Callable[[], bool], *, patience: float) -> bool:
        """Whether what has arrived meets the condition within so many seconds."""
        with self._arrival:
            return self._arrival.wait_for(condition, patience)

    def add(self, path: str, body: bytes) -> None:
        """Take in the body of one request."""
        with self._lock:
            self.paths.append(path)
            match path:
                case "/v1/traces":
                    for spans in ExportTraceServiceRequest.FromString(body).resource_spans:
                        self.resources.append(spans.resource)
                        found = [span for scope in spans.scope_spans for span in scope.spans]
                        self.made_by |= dict.fromkeys((span.span_id for span in found), spans.resource)
                        self.spans += found
                case "/v1/metrics":
                    for metrics in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                        self.resources.append(metrics.resource)
                        self.metrics += [metric for scope in metrics.scope_metrics for metric in scope.metrics]
                case "/v1/logs":
                    for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
                        self.resources.append(logs.resource)
                        self.logs += [record for scope in logs.scope_logs for record in scope.log_records]
        with self._arrival:
            self._arrival.notify_all()


@contextmanager
def receiver() -> Iterator[Received]:
    """A receiver on a free port of the loopback interface, as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.add(self.path, gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            # An empty message of any kind is no bytes at all.
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Received(f"http://127.0.0.1:{server.server_port}")
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield received
        finally:
            server.shutdown()
            serving.join()
