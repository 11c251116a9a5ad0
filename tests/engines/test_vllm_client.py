"""Programs that know nothing of this package, against the real vLLM: what is reported is what vLLM itself counted.

Every program runs in a process of its own under `otel-genai run`, and is judged by the OTLP that arrives.
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

    from tests.engines.vllm_server import VllmServer

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
story = "The keeper of the lighthouse counted the ships that passed before the fog came in. "
messages = [{"role": "user", "content": story}]
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What a program printed, and what an OTLP receiver was told about it."""

    output: str
    spans: list[Span]
    metrics: list[Metric]
    logs: list[LogRecord]
    resources: list[Resource]

    def mentions(self, text: str) -> bool:
        """Whether the text was sent, anywhere in any message."""
        messages: list[Span | Metric | LogRecord | Resource] = [
            *self.spans,
            *self.metrics,
            *self.logs,
            *self.resources,
        ]
        return any(text.encode() in message.SerializeToString() for message in messages)

    def points(self, histogram: str) -> list[HistogramDataPoint]:
        """The points of all histograms of that name."""
        return [point for each in self.metrics if each.name == histogram for point in each.histogram.data_points]

    def tokens(self, token_type: str) -> tuple[int, float]:
        """How many calls were recorded with tokens of this type, and how many tokens in all."""
        points = [
            point
            for point in self.points("gen_ai.client.token.usage")
            if attributes(point)["gen_ai.token.type"] == token_type
        ]
        return sum(point.count for point in points), sum(point.sum for point in points)


class Attributed(Protocol):
    """A message that has attributes."""

    @property
    def attributes(self) -> Iterable[KeyValue]:
        """Keys and values, in the order they were sent."""


def attributes(message: Attributed) -> dict[str, Any]:
    """The attributes of a span or a point, as Python values."""
    return {each.key: _value(each.value) for each in message.attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [_value(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind or "")


def seconds(span: Span) -> float:
    """How long the span lasted."""
    return (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9


def run(program: Path, server: VllmServer, *, under: tuple[str, ...] = (), **environment: str) -> str:
    """Run a program against the server, and give back what it printed."""
    # Nothing of the tests' own surroundings may steer the program or its telemetry.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OPENAI_"))}
    finished = subprocess.run(
        [sys.executable, *under, str(program)],
        env=inherited | {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-nobody", "PYTHONUTF8": "1"} | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def observe(program: Path, server: VllmServer) -> Told:
    """Run a program under `otel-genai run`, which exports to a receiver of the test's own."""
    with receiver() as collector:
        under = ("-m", "otel_genai", "run")
        output = run(program, server, under=under, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    return Told(output, collector.spans, collector.metrics, collector.logs, collector.resources)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Where a test writes its program."""
    return tmp_path / "program.py"


def test_a_streamed_call_reports_the_tokens_that_vllm_counted(program: Path, vllm_server: VllmServer) -> None:
    program.write_text(
        PREAMBLE
        + "print(*ask(model='tiny', messages=messages, max_tokens=7, stream=True, "
        + "stream_options={'include_usage': True}))"
    )
    before = vllm_server.counts()

    told = observe(program, vllm_server)

    counted = vllm_server.counts_since(before, requests=1)
    (span,) = told.spans
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

    (duration,) = told.points("gen_ai.client.operation.duration")
    assert duration.count == 1
    assert duration.sum == pytest.approx(seconds(span), abs=1e-6)
    (to_first_chunk,) = told.points("gen_ai.client.operation.time_to_first_chunk")
    assert to_first_chunk.sum == first_chunk
    assert told.tokens("input") == (1, counted["vllm:prompt_tokens_total"])
    assert told.tokens("output") == (1, 7)


def test_a_plain_call_reports_the_tokens_that_vllm_counted(program: Path, vllm_server: VllmServer) -> None:
    program.write_text(PREAMBLE + "print(ask(model='tiny', messages=messages, max_tokens=9))")
    before = vllm_server.counts()

    told = observe(program, vllm_server)

    counted = vllm_server.counts_since(before, requests=1)
    (span,) = told.spans
    assert span.name == "chat tiny"
    reported = attributes(span)
    assert reported["gen_ai.response.model"] == "tiny"
    assert reported["gen_ai.response.finish_reasons"] == ["length"]
    assert reported["gen_ai.usage.input_tokens"] == counted["vllm:prompt_tokens_total"]
    assert reported["gen_ai.usage.output_tokens"] == counted["vllm:generation_tokens_total"] == 9
    assert not reported.keys() & {"gen_ai.request.stream", "gen_ai.response.time_to_first_chunk"}
    assert told.tokens("input") == (1, counted["vllm:prompt_tokens_total"])
    assert told.tokens("output") == (1, 9)


def test_a_stream_that_tells_no_usage_has_none(program: Path, vllm_server: VllmServer) -> None:
    program.write_text(PREAMBLE + "print(*ask(model='tiny', messages=messages, max_tokens=7, stream=True))")

    told = observe(program, vllm_server)

    (span,) = told.spans
    assert not [name for name in attributes(span) if name.startswith("gen_ai.usage.")]
    assert attributes(span)["gen_ai.response.finish_reasons"] == ["length"]
    assert not told.points("gen_ai.client.token.usage")


def test_prompt_tokens_that_vllm_had_in_its_cache_are_told_apart(program: Path, vllm_server: VllmServer) -> None:
    # Nobody else asks this, so that the first call finds nothing and the second finds all whole blocks of 32 tokens.
    program.write_text(
        PREAMBLE
        + "messages[0]['content'] = 'She waited for the fog. ' * 12\n"
        + "for _ in range(2):\n"
        + "    print(ask(model='tiny', messages=messages, max_tokens=1))\n"
    )
    before = vllm_server.counts()

    told = observe(program, vllm_server)

    counted = vllm_server.counts_since(before, requests=2)
    first, second = map(attributes, told.spans)
    assert first["gen_ai.usage.input_tokens"] == second["gen_ai.usage.input_tokens"]
    assert "gen_ai.usage.cache_read.input_tokens" not in first
    assert second["gen_ai.usage.cache_read.input_tokens"] == counted["vllm:prompt_tokens_cached_total"] > 0


def test_a_stream_that_the_program_leaves_is_no_error(program: Path, vllm_server: VllmServer) -> None:
    program.write_text(
        PREAMBLE
        + "with ask(model='tiny', messages=messages, max_tokens=900, stream=True) as stream:\n"
        + "    for chunk in stream:\n"
        + "        if chunk.choices[0].delta.content:\n"
        + "            break\n"
    )
    before = vllm_server.counts()

    told = observe(program, vllm_server)

    counted = vllm_server.counts() - before
    assert 0 < counted["vllm:generation_tokens_total"] < 900
    assert counted["vllm:request_success_total"] == 0
    (span,) = told.spans
    assert span.status.code == Status.STATUS_CODE_UNSET
    reported = attributes(span)
    assert 0 < reported["gen_ai.response.time_to_first_chunk"] < seconds(span)
    assert not reported.keys() & {"error.type", "gen_ai.usage.output_tokens"}


def test_a_call_that_vllm_refuses_is_an_error(program: Path, vllm_server: VllmServer) -> None:
    program.write_text(
        PREAMBLE
        + "import openai\n"
        + "try:\n"
        + "    ask(model='large', messages=messages)\n"
        + "except openai.NotFoundError as error:\n"
        + "    print(error.status_code)\n"
    )

    told = observe(program, vllm_server)

    assert told.output == "404\n"
    (span,) = told.spans
    assert span.name == "chat large"
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes(span)["error.type"] == "openai.NotFoundError"
    assert "gen_ai.response.model" not in attributes(span)
    (duration,) = told.points("gen_ai.client.operation.duration")
    assert attributes(duration)["error.type"] == "openai.NotFoundError"


def test_the_example_prints_what_it_prints_without_us(vllm_server: VllmServer) -> None:
    alone = run(EXAMPLE, vllm_server)

    told = observe(EXAMPLE, vllm_server)

    assert all(question in alone for question in EXAMPLE_QUESTIONS)
    assert told.output == alone


def test_the_example_is_told_call_by_call_and_without_its_content(vllm_server: VllmServer) -> None:
    before = vllm_server.counts()

    told = observe(EXAMPLE, vllm_server)

    counted = vllm_server.counts_since(before, requests=3)
    assert [span.name for span in told.spans] == ["chat tiny", "chat tiny", "chat tiny"]
    calls = [attributes(span) for span in told.spans]
    assert [call.get("gen_ai.request.stream") for call in calls] == [None, True, None]
    assert [call["gen_ai.response.finish_reasons"] for call in calls] == [["length"], ["length"], ["length"]]
    assert [call["gen_ai.usage.output_tokens"] for call in calls] == [60, 60, 60]
    assert sum(call["gen_ai.usage.input_tokens"] for call in calls) == counted["vllm:prompt_tokens_total"]
    assert told.tokens("input") == (3, counted["vllm:prompt_tokens_total"])
    assert told.tokens("output") == (3, counted["vllm:generation_tokens_total"])

    lines = [line.removeprefix("> ") for line in told.output.splitlines() if len(line) > 12]
    assert len(lines) >= 6  # three questions and three answers
    assert not [line for line in lines if told.mentions(line)]
    assert not told.mentions("umbrella")
    assert not told.mentions("sk-nobody")
