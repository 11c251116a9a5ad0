"""Providers that the program sets replace those of the run, without a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.otlp.receiver import receiver
from tests.support.processes import PYTHON, RUN, SUMMARISED_RUN, outcome

if TYPE_CHECKING:
    from pathlib import Path


OWN_PROVIDERS = """\
import openai
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

tracer, logger = trace.get_tracer("early"), _logs.get_logger("early")
client = openai.OpenAI()
def call():
    client.chat.completions.create(model="sim-small", messages=[{"role": "user", "content": "hello"}])

spans, records, reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()
def set_own():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    logs = LoggerProvider()
    logs.add_log_record_processor(SimpleLogRecordProcessor(records))
    _logs.set_logger_provider(logs)
def show():
    found = reader.get_metrics_data()
    print(
        [span.name for span in spans.get_finished_spans()],
        [item.log_record.event_name or item.log_record.body for item in records.get_finished_logs()],
        sorted({metric.name for r in found.resource_metrics for s in r.scope_metrics for metric in s.metrics} if found else []),
    )
"""

METRICS = ["gen_ai.client.operation.duration", "gen_ai.client.token.usage"]
EVENT = "gen_ai.client.inference.operation.details"


def test_providers_of_the_program_replace_those_of_the_run(model_server: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        OWN_PROVIDERS + "with tracer.start_as_current_span('before'): call()\n"
        "set_own()\n"
        "with tracer.start_as_current_span('after'): call()\n"
        "logger.emit(_logs.LogRecord(body='after'))\n"
        "show()\n"
    )
    with receiver() as received:
        done = outcome(
            RUN,
            "app.py",
            cwd=tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
            OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT="true",
            OPENAI_BASE_URL=model_server,
            OPENAI_API_KEY="unused",
        )
    assert done == (0, f"{['chat sim-small', 'after']} {[EVENT, 'after']} {METRICS}\n", "")
    # Earlier telemetry was sent by the run's providers, and nothing is sent twice.
    assert sorted(span.name for span in received.spans) == ["before", "chat sim-small"]
    assert [record.event_name for record in received.logs] == [EVENT]


def test_the_summary_shows_the_trace_of_a_provider_of_the_program(model_server: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(OWN_PROVIDERS + "set_own()\nwith tracer.start_as_current_span('after'): call()\n")
    status, _, err = outcome(
        SUMMARISED_RUN, "app.py", cwd=tmp_path, OPENAI_BASE_URL=model_server, OPENAI_API_KEY="unused"
    )
    assert status == 0
    lines = err.splitlines()
    outer, call = lines[lines.index("Trace of the last call") + 1 :][:2]
    assert outer.startswith("after  ")
    assert "chat sim-small  " in call


def test_setting_a_provider_twice_is_a_warning_as_under_plain_python(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "first = TracerProvider()\n"
        "for provider in (first, TracerProvider()): trace.set_tracer_provider(provider)\n"
        "print(trace.get_tracer_provider() is first)\n"
    )
    expected = outcome(PYTHON, "app.py", cwd=tmp_path)
    assert expected == (0, "True\n", "Overriding of current TracerProvider is not allowed\n")
    assert outcome(RUN, "app.py", cwd=tmp_path) == expected


def test_a_program_can_add_processors_to_the_provider_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter\n"
        "spans, provider = InMemorySpanExporter(), trace.get_tracer_provider()\n"
        "print(isinstance(provider, TracerProvider))\n"
        "provider.add_span_processor(SimpleSpanProcessor(spans))\n"
        "trace.get_tracer('app').start_span('own').end()\n"
        "print([span.name for span in spans.get_finished_spans()])\n"
    )
    assert outcome(RUN, "app.py", cwd=tmp_path) == (0, "True\n['own']\n", "")


def test_a_child_keeps_a_provider_that_it_has_set_before_its_first_library(model_server: str, tmp_path: Path) -> None:
    late = OWN_PROVIDERS.replace("import openai\n", "").replace("client = openai.OpenAI()\n", "")
    (tmp_path / "child.py").write_text(late + "set_own()\nimport openai\nclient = openai.OpenAI()\ncall()\nshow()\n")
    (tmp_path / "app.py").write_text("import subprocess, sys\nsubprocess.run([sys.executable, 'child.py'])")
    with receiver() as received:
        done = outcome(
            RUN,
            "app.py",
            cwd=tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
            OPENAI_BASE_URL=model_server,
            OPENAI_API_KEY="unused",
        )
    assert done == (0, f"{['chat sim-small']} [] {METRICS}\n", "")
    assert received.spans == []
