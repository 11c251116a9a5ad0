"""All three signals of a program pass a real OTLP hop, over both protocols, on the way in and on the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.otlp.grpc_receiver import grpc_receiver
from tests.support.otlp.receiver import receiver
from tests.support.processes import RUN, outcome
from tests.support.stack.programs import await_that
from tests.support.stack.rotel import rotel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stack.rotel import Protocol

pytestmark = pytest.mark.stack

PROGRAM = """\
import openai
with openai.OpenAI() as client:
    stream = client.chat.completions.create(
        model="sim-small", messages=[{"role": "user", "content": "Say hello"}], stream=True,
        stream_options={"include_usage": True},
    )
    for _ in stream: pass
"""

RECEIVERS = {"http": receiver, "grpc": grpc_receiver}


@pytest.mark.parametrize("outbound", ["http", "grpc"])
@pytest.mark.parametrize("inbound", ["http", "grpc"])
def test_all_three_signals_pass_a_collector(
    inbound: Protocol, outbound: Protocol, model_server: str, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    with RECEIVERS[outbound]() as received, rotel(received.endpoint, outbound, tmp_path) as hop:
        status, _, err = outcome(
            RUN,
            "program.py",
            cwd=tmp_path,
            OPENAI_BASE_URL=model_server,
            OPENAI_API_KEY="unused",
            OTEL_EXPORTER_OTLP_ENDPOINT=hop.http if inbound == "http" else hop.grpc,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf" if inbound == "http" else "grpc",
            OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT="true",
        )
        assert (status, err) == (0, "")
        await_that(
            lambda: set(received.paths) >= {"/v1/traces", "/v1/metrics", "/v1/logs"}, lambda: str(received.paths), 20
        )
    (span,) = received.spans
    (event,) = received.logs
    assert (span.name, event.event_name) == ("chat sim-small", "gen_ai.client.inference.operation.details")
    assert event.span_id == span.span_id
    metrics = {metric.name: metric for metric in received.metrics}
    (first_chunk,) = metrics["gen_ai.client.operation.time_to_first_chunk"].histogram.data_points
    # The exemplar links a panel to a trace.
    assert [exemplar.trace_id for exemplar in first_chunk.exemplars] == [span.trace_id]
