"""The SDK is set up by what is installed for it, a provider of the script's own wins, and other instrumentors can be added."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.support.otlp.receiver import receiver
from tests.support.processes import PYTHON, RUN, SUMMARISED_RUN, outcome

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A place on PYTHONPATH where a package with entry points is installed."""
    place = tmp_path / "plugins"
    info = place / "acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\nProvides-Extra: instruments\n"
        "Requires-Dist: nosuch>=3; extra == 'instruments-of-others'\n"
    )
    (info / "RECORD").touch()
    (info / "entry_points.txt").write_text(
        dedent("""\
            [opentelemetry_distro]
            acme = acme:Distro
            [opentelemetry_configurator]
            acme = acme:Configurator
            [opentelemetry_instrumentor]
            acme_http = acme:Instrumentor
            acme_broken = acme:Broken
            """)
    )
    (place / "acme.py").write_text(
        dedent("""\
            import os
            from opentelemetry.instrumentation.distro import BaseDistro
            from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
            from opentelemetry.sdk._configuration import _OTelSDKConfigurator
            class Distro(BaseDistro):
                def _configure(self, **kwargs):
                    print("distro")
                    os.environ.setdefault("OTEL_TRACES_EXPORTER", "otlp")
                    os.environ.setdefault("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
                def load_instrumentor(self, entry_point, **kwargs):
                    print("loads", entry_point.name)
                    super().load_instrumentor(entry_point, **kwargs)
            class Configurator(_OTelSDKConfigurator):
                def _configure(self, **kwargs):
                    print("configurator", os.environ["OTEL_SERVICE_NAME"])
                    super()._configure(resource_attributes={"by": "acme"}, **kwargs)
            class Instrumentor(BaseInstrumentor):
                def instrumentation_dependencies(self):
                    return ["wrapt >= 1"]
                def _instrument(self, **kwargs):
                    print("instruments")
                def _uninstrument(self, **kwargs):
                    pass
            class Broken(BaseInstrumentor):
                def instrumentation_dependencies(self):
                    return []
                def _instrument(self, **kwargs):
                    raise ValueError("broken")
                def _uninstrument(self, **kwargs):
                    pass
            """)
    )
    return place


# ── distributions ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_installed_distribution_sets_the_sdk_up(plugins: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from opentelemetry import trace\nprint(trace.get_tracer_provider().resource.attributes['by'])"
    )
    expected = (0, "distro\nconfigurator app\nacme\n", "")
    assert outcome(RUN, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins)) == expected


def test_what_a_distribution_presets_sends_nothing_anywhere_and_is_not_left_behind(
    plugins: Path, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(
        "import os, sys\nprint('grpc' in sys.modules, [name for name in os.environ if name.startswith('OTEL_EXP')])"
    )
    done = outcome(RUN, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert done == (0, "distro\nconfigurator app\nFalse []\n", "")


def test_a_distribution_and_an_endpoint_work_together(plugins: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("from opentelemetry import trace\ntrace.get_tracer('app').start_span('own').end()")
    with receiver() as received:
        done = outcome(
            RUN, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins), OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint
        )
    assert done == (0, "distro\nconfigurator app\n", "")
    assert [span.name for span in received.spans] == ["own"]


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("OTEL_PYTHON_DISTRO", "OTEL_PYTHON_DISTRO: 'acne' is not installed (there is: acme)"),
        ("OTEL_PYTHON_CONFIGURATOR", "OTEL_PYTHON_CONFIGURATOR: 'acne' is not installed (there is: acme)"),
    ],
)
def test_a_distribution_that_is_not_there_is_one_line(
    variable: str, sentence: str, plugins: Path, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text("print('must not run')")
    done = outcome(RUN, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins), **{variable: "acne"})
    assert (done[0], done[1].replace("distro\n", ""), done[2]) == (2, "", f"otel-genai run: {sentence}\n")


# ── other instrumentors ────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_ours_are_on_by_default(plugins: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('runs')")
    done = outcome(RUN, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert done == (0, "distro\nconfigurator app\nruns\n", "")


@pytest.mark.parametrize("names", [("acme_http",), ("acme_http,acme_http",), ("acme_http, ", "--with", "acme_http")])
def test_one_that_is_asked_for_is_switched_on_through_the_distribution(
    names: tuple[str, ...], plugins: Path, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text("print('runs')")
    done = outcome(RUN, "--with", *names, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert done == (0, "distro\nconfigurator app\nloads acme_http\ninstruments\nruns\n", "")


def test_all_means_all_that_are_not_switched_off_and_one_that_fails_is_a_warning(plugins: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('runs')")
    launcher = (*RUN, "--with", "all")
    status, out, err = outcome(launcher, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert (status, err) == (0, "acme_broken is not instrumented: broken\n")
    assert out == "distro\nconfigurator app\nloads acme_http\ninstruments\nloads acme_broken\nruns\n"
    for disabled, loaded in (("acme_broken", "loads acme_http\ninstruments\n"), ("*", "")):
        done = outcome(
            launcher, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins), OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled
        )
        assert done == (0, f"distro\nconfigurator app\n{loaded}runs\n", "")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("acme_htp", "--with: no instrumentation called 'acme_htp' is installed (there is: acme_http)"),
        ("x", "--with: no instrumentation called 'x' is installed (there is: acme_broken, acme_http)"),
    ],
)
def test_one_that_is_not_installed_is_one_line(name: str, sentence: str, plugins: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('must not run')")
    done = outcome(RUN, "--with", name, "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert done == (2, "", f"otel-genai run: {sentence}\n")


def test_one_whose_library_is_not_installed_is_one_line(plugins: Path, tmp_path: Path) -> None:
    metadata = plugins / "acme-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("instruments-of-others", "instruments"))
    (tmp_path / "app.py").write_text("print('must not run')")
    status, out, err = outcome(RUN, "--with", "acme_http", "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err == "otel-genai run: --with acme_http: it needs nosuch>=3, which is not installed\n"


def test_children_have_them_too_when_their_library_arrives(plugins: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'print(1)'])\n"
        "subprocess.run([sys.executable, '-c', 'import wrapt; print(2)'])\n"
    )
    done = outcome((*RUN, "--with", "acme_http"), "app.py", cwd=tmp_path, PYTHONPATH=str(plugins))
    once = "distro\nconfigurator app\nloads acme_http\ninstruments\n"
    assert done == (0, f"{once}1\n{once}2\n", "")


# ── providers of the script's own ──────────────────────────────────────────────────────────────────────────────────────

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
def own():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    logs = LoggerProvider()
    logs.add_log_record_processor(SimpleLogRecordProcessor(records))
    _logs.set_logger_provider(logs)
def seen():
    found = reader.get_metrics_data()
    print(
        [span.name for span in spans.get_finished_spans()],
        [item.log_record.event_name or item.log_record.body for item in records.get_finished_logs()],
        sorted({metric.name for r in found.resource_metrics for s in r.scope_metrics for metric in s.metrics} if found else []),
    )
"""

METRICS = ["gen_ai.client.operation.duration", "gen_ai.client.token.usage"]
EVENT = "gen_ai.client.inference.operation.details"


def test_providers_of_the_script_take_the_place_of_ours(model_server: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        OWN_PROVIDERS + "with tracer.start_as_current_span('before'): call()\n"
        "own()\n"
        "with tracer.start_as_current_span('after'): call()\n"
        "logger.emit(_logs.LogRecord(body='after'))\n"
        "seen()\n"
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
    # What came before the change stays ours, and nothing is there twice.
    assert sorted(span.name for span in received.spans) == ["before", "chat sim-small"]
    assert [record.event_name for record in received.logs] == [EVENT]


def test_the_summary_shows_the_trace_of_a_provider_of_the_script(model_server: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(OWN_PROVIDERS + "own()\nwith tracer.start_as_current_span('after'): call()\n")
    status, _, err = outcome(
        SUMMARISED_RUN, "app.py", cwd=tmp_path, OPENAI_BASE_URL=model_server, OPENAI_API_KEY="unused"
    )
    assert status == 0
    lines = err.splitlines()
    outer, call = lines[lines.index("Trace of the last call") + 1 :][:2]
    assert outer.startswith("after  ")
    assert "chat sim-small  " in call


def test_setting_a_provider_twice_is_a_warning_as_it_is_without_us(tmp_path: Path) -> None:
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


def test_a_script_that_looks_for_a_provider_finds_one_that_it_can_extend(tmp_path: Path) -> None:
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


def test_a_child_that_has_a_provider_already_keeps_it(model_server: str, tmp_path: Path) -> None:
    late = OWN_PROVIDERS.replace("import openai\n", "").replace("client = openai.OpenAI()\n", "")
    (tmp_path / "child.py").write_text(late + "own()\nimport openai\nclient = openai.OpenAI()\ncall()\nseen()\n")
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


SEEDED = """\
import random
from opentelemetry import trace
def ids():
    random.seed(1)
    context = trace.get_tracer("app").start_span("work").get_span_context()
    return context.trace_id, context.span_id, random.random()
(*first, value), (*second, _) = ids(), ids()
print(value, {*first} & {*second}, 0 in first)
"""


def test_a_program_that_seeds_its_random_numbers_gets_the_same_ones_and_no_span_twice(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SEEDED)
    assert outcome(RUN, "app.py", cwd=tmp_path) == (0, "0.13436424411240122 set() False\n", "")


@pytest.mark.parametrize(("setting", "gives_way"), [({}, True), ({"OTEL_TRACES_EXPORTER": "console"}, False)])
def test_our_provider_stays_in_charge_if_a_library_would_set_its_own_unless_it_sends_nothing(
    setting: dict[str, str], gives_way: bool, tmp_path: Path
) -> None:
    """Where an argument names an endpoint, vLLM sets one."""
    (tmp_path / "app.py").write_text(
        "import openai\nfrom opentelemetry import trace\n"
        "print(hasattr(trace.get_tracer_provider(), 'otel_genai_yields_to_library'))\n"
    )
    assert outcome(RUN, "app.py", cwd=tmp_path, **setting) == (0, f"{gives_way}\n", "")
