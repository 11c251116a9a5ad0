"""Unmodified client programs against a real vLLM server: reported tokens equal vLLM's own counts.

Every program runs in a process of its own under `otel-genai run`, and exports to an OTLP receiver of the test.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.otlp.receiver import receiver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

    from tests.support.vllm.server import VllmServer

pytestmark = pytest.mark.engine

EXAMPLE = Path(__file__).parents[2] / "examples" / "chat.py"
EXAMPLE_QUESTIONS = (
    "Why is the sky blue? One sentence, please.",
    "Count from one to ten, in words.",
    "Do I need an umbrella in Bergen?",
)
PREAMBLE = """
from openai import OpenAI

ask = OpenAI().chat.completions.create
text = "The keeper of the lighthouse counted the ships that passed before the fog came in. "
messages = [{"role": "user", "content": text}]
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """The output of a program, and the telemetry that an OTLP receiver got of it."""

    output: str
    spans: list[Span]
    metrics: list[Metric]
    logs: list[LogRecord]
    resources: list[Resource]

    def mentions(self, text: str) -> bool:
        """Whether any message contains the text."""
        messages: list[Span | Metric | LogRecord | Resource] = [
            *self.spans,
            *self.metrics,
            *self.logs,
            *self.resources,
        ]
        return any(text.encode() in message.SerializeToString() for message in messages)

    def points(self, histogram: str) -> list[HistogramDataPoint]:
        """The data points of all histograms of that name."""
        return [point for each in self.metrics if each.name == histogram for point in each.histogram.data_points]

    def tokens(self, token_type: str) -> tuple[int, float]:
        """(calls with tokens of this type, tokens in all)."""
        points = [
            point
            for point in self.points("gen_ai.client.token.usage")
            if attributes(point)["gen_ai.token.type"] == token_type
        ]
        return sum(point.count for point in points), sum(point.sum for point in points)


class Attributed(Protocol):
    """A message with attributes."""

    @property
    def attributes(self) -> Iterable[KeyValue]:
        """Keys and values, in the order of export."""


def attributes(message: Attributed) -> dict[str, Any]:
    """The attributes of a span or a data point, as Python values."""
    return {each.key: _value(each.value) for each in message.attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [_value(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind or "")


def seconds(span: Span) -> float:
    """The duration of a span, in seconds."""
    return (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9


def run(program: Path, server: VllmServer, *, under: tuple[str, ...] = (), **environment: str) -> str:
    """Run a program against the server. Returns its output."""
    # The tests' own settings must not reach the program or its telemetry.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OPENAI_"))}
    finished = subprocess.run(
        [sys.executable, *under, str(program)],
        env=inherited | {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-unused", "PYTHONUTF8": "1"} | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def run_instrumented(program: Path, server: VllmServer) -> Exported:
    """Run a program under `otel-genai run`, which exports to a receiver of the test."""
    with receiver() as collector:
        under = ("-m", "otel_genai", "run")
        output = run(program, server, under=under, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    return Exported(output, collector.spans, collector.metrics, collector.logs, collector.resources)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The path of a test's program."""
    return tmp_path / "program.py"


def test_a_streamed_call_reports_the_tokens_that_vllm_counted(program: Path, vllm_server: VllmServer) -> None:
    program.write_text(
        PREAMBLE
        + "print(*ask(model='tiny', messages=messages, max_tokens=7, stream=True, "
        + "stream_options={'include_usage': True}))"
    )
    before = vllm_server.counts()

    exported = run_instrumented(program, vllm_server)

    counted = vllm_server.counts_since(before, requests=1)
    (span,) = exported.spans
    assert span.name == "chat tiny"
    assert span.kind == Span.SPAN_KIND_CLIENT
    assert span.status.code == Status.STATUS_CODE_UNSET
    reported = attributes(span)
    first_chunk = reported.pop("gen_ai.response.time_to_first_chunk")
    first_token = reported.pop("otel_genai.response.time_to_first_token")
    assert 0 < first_chunk <= first_token < seconds(span)
    assert reported.pop("gen_ai.response.id").startswith("chatcmpl-")
    assert reported.pop("openai.response.system_fingerprint").startswith("vllm-")
    assert reported == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "tiny",
        "gen_ai.request.max_tokens": 7,
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "tiny",
        "gen_ai.response.finish_reasons": ["length"],
        "gen_ai.usage.input_tokens": counted["vllm:prompt_tokens_total"],
        "gen_ai.usage.output_tokens": counted["vllm:generation_tokens_total"],
        "openai.api.type": "chat_completions",
        "server.address": vllm_server.address,
        "server.port": vllm_server.port,
    }
    assert reported["gen_ai.usage.output_tokens"] == 7

    (duration,) = exported.points("gen_ai.client.operation.duration")
    assert duration.count == 1
    assert duration.sum == pytest.approx(seconds(span), abs=1e-6)
    (to_first_chunk,) = exported.points("gen_ai.client.operation.time_to_first_chunk")
    assert to_first_chunk.sum == first_chunk
    assert exported.tokens("input") == (1, counted["vllm:prompt_tokens_total"])
    assert exported.tokens("output") == (1, 7)


def test_a_plain_call_reports_the_tokens_that_vllm_counted(program: Path, vllm_server: VllmServer) -> None:
    program.write_text(PREAMBLE + "print(ask(model='tiny', messages=messages, max_tokens=9))")
    before = vllm_server.counts()

    exported = run_instrumented(program, vllm_server)

    counted = vllm_server.counts_since(before, requests=1)
    (span,) = exported.spans
    assert span.name == "chat tiny"
    reported = attributes(span)
    assert reported["gen_ai.response.model"] == "tiny"
    assert reported["gen_ai.response.finish_reasons"] == ["length"]
    assert reported["gen_ai.usage.input_tokens"] == counted["vllm:prompt_tokens_total"]
    assert reported["gen_ai.usage.output_tokens"] == counted["vllm:generation_tokens_total"] == 9
    assert not reported.keys() & {"gen_ai.request.stream", "gen_ai.response.time_to_first_chunk"}
    assert exported.tokens("input") == (1, counted["vllm:prompt_tokens_total"])
    assert exported.tokens("output") == (1, 9)


def test_a_stream_without_usage_reports_none(program: Path, vllm_server: VllmServer) -> None:
    program.write_text(PREAMBLE + "print(*ask(model='tiny', messages=messages, max_tokens=7, stream=True))")

    exported = run_instrumented(program, vllm_server)

    (span,) = exported.spans
    assert not [name for name in attributes(span) if name.startswith("gen_ai.usage.")]
    assert attributes(span)["gen_ai.response.finish_reasons"] == ["length"]
    assert not exported.points("gen_ai.client.token.usage")


def test_cached_prompt_tokens_are_reported(program: Path, vllm_server: VllmServer) -> None:
    # No other test has this prompt: the first call hits no cache, the second all whole blocks of 32 tokens.
    program.write_text(
        PREAMBLE
        + "messages[0]['content'] = 'She waited for the fog. ' * 12\n"
        + "for _ in range(2):\n"
        + "    print(ask(model='tiny', messages=messages, max_tokens=1))\n"
    )
    before = vllm_server.counts()

    exported = run_instrumented(program, vllm_server)

    counted = vllm_server.counts_since(before, requests=2)
    first, second = map(attributes, exported.spans)
    assert first["gen_ai.usage.input_tokens"] == second["gen_ai.usage.input_tokens"]
    assert "gen_ai.usage.cache_read.input_tokens" not in first
    assert second["gen_ai.usage.cache_read.input_tokens"] == counted["vllm:prompt_tokens_cached_total"] > 0


def test_a_stream_left_early_is_no_error(program: Path, vllm_server: VllmServer) -> None:
    program.write_text(
        PREAMBLE
        + "with ask(model='tiny', messages=messages, max_tokens=900, stream=True) as stream:\n"
        + "    for chunk in stream:\n"
        + "        if chunk.choices[0].delta.content:\n"
        + "            break\n"
    )
    before = vllm_server.counts()

    exported = run_instrumented(program, vllm_server)

    counted = vllm_server.counts() - before
    assert 0 < counted["vllm:generation_tokens_total"] < 900
    assert counted["vllm:request_success_total"] == 0
    (span,) = exported.spans
    assert span.status.code == Status.STATUS_CODE_UNSET
    reported = attributes(span)
    assert 0 < reported["gen_ai.response.time_to_first_chunk"] < seconds(span)
    assert not reported.keys() & {"error.type", "gen_ai.usage.output_tokens"}


def test_a_refused_call_is_an_error(program: Path, vllm_server: VllmServer) -> None:
    program.write_text(
        PREAMBLE
        + "import openai\n"
        + "try:\n"
        + "    ask(model='large', messages=messages)\n"
        + "except openai.NotFoundError as error:\n"
        + "    print(error.status_code)\n"
    )

    exported = run_instrumented(program, vllm_server)

    assert exported.output == "404\n"
    (span,) = exported.spans
    assert span.name == "chat large"
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes(span)["error.type"] == "openai.NotFoundError"
    assert "gen_ai.response.model" not in attributes(span)
    (duration,) = exported.points("gen_ai.client.operation.duration")
    assert attributes(duration)["error.type"] == "openai.NotFoundError"


def test_the_example_prints_the_same_with_and_without_instrumentation(vllm_server: VllmServer) -> None:
    alone = run(EXAMPLE, vllm_server)

    exported = run_instrumented(EXAMPLE, vllm_server)

    assert all(question in alone for question in EXAMPLE_QUESTIONS)
    assert exported.output == alone


def test_the_example_has_a_span_for_each_call_and_no_content(vllm_server: VllmServer) -> None:
    before = vllm_server.counts()

    exported = run_instrumented(EXAMPLE, vllm_server)

    counted = vllm_server.counts_since(before, requests=3)
    assert [span.name for span in exported.spans] == ["chat tiny", "chat tiny", "chat tiny"]
    calls = [attributes(span) for span in exported.spans]
    assert [call.get("gen_ai.request.stream") for call in calls] == [None, True, None]
    assert [call["gen_ai.response.finish_reasons"] for call in calls] == [["length"], ["length"], ["length"]]
    assert [call["gen_ai.usage.output_tokens"] for call in calls] == [60, 60, 60]
    assert sum(call["gen_ai.usage.input_tokens"] for call in calls) == counted["vllm:prompt_tokens_total"]
    assert exported.tokens("input") == (3, counted["vllm:prompt_tokens_total"])
    assert exported.tokens("output") == (3, counted["vllm:generation_tokens_total"])

    lines = [line.removeprefix("> ") for line in exported.output.splitlines() if len(line) > 12]
    assert len(lines) >= 6  # three questions and three answers
    assert not [line for line in lines if exported.mentions(line)]
    assert not exported.mentions("umbrella")
    assert not exported.mentions("sk-unused")
