"""`otel-genai run` exports to the exporters of the environment and no others, and loses no telemetry however the program ends."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.otlp.receiver import receiver
from tests.support.processes import OWN_TELEMETRY, RUN, SUMMARISED_RUN, outcome, signalled

if TYPE_CHECKING:
    from pathlib import Path


def run(
    source: str, *, cwd: Path, launcher: tuple[str, ...] = RUN, variables: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Run a script to its end, and return its exit status, stdout and stderr."""
    (cwd / "app.py").write_text(source)
    return outcome(launcher, "app.py", cwd=cwd, **(variables or {}))


# ── the end of the program ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("pass", 0),
        ("raise ValueError", 1),
        ("import sys; sys.exit(3)", 3),
        ("raise KeyboardInterrupt", -2),
        ("import threading; threading.Thread(target=lambda: threading.main_thread().join()).start()", 0),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
        # The script holds a lock that the start of a thread needs.
        ("import os, signal, threading\nwith threading._active_limbo_lock: os.kill(os.getpid(), signal.SIGTERM)", -15),
    ],
    ids=["return", "error", "exit", "interrupt", "a thread lives on", "SIGTERM", "SIGTERM under a lock"],
)
def test_all_telemetry_is_sent_however_the_program_ends(end: str, status: int, tmp_path: Path) -> None:
    with receiver() as received:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint}
        assert run(OWN_TELEMETRY + end, cwd=tmp_path, variables=variables)[0] == status
    assert [span.name for span in received.spans] == ["own span"]
    assert [metric.name for metric in received.metrics] == ["own.counter"]
    assert [record.body.string_value for record in received.logs] == ["own record"]


def test_sigterm_after_the_sdk_was_shut_down_prints_nothing(tmp_path: Path) -> None:
    end = "metrics.get_meter_provider().shutdown()\nimport os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    with receiver() as received:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint}
        status, _, err = run(OWN_TELEMETRY + end, cwd=tmp_path, variables=variables)
    assert (status, err) == (-signal.SIGTERM, "")
    assert [metric.name for metric in received.metrics] == ["own.counter"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_from_outside_loses_no_span(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"{OWN_TELEMETRY}"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    time.sleep(0.01)\n"
    )
    with receiver() as received:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint}
        status, _, err = signalled(SUMMARISED_RUN, "app.py", number=number, cwd=tmp_path, **variables)
    assert status == -number
    assert [span.name for span in received.spans] == ["own span"]
    assert err.endswith("otel-genai: no GenAI calls were made\n")


def test_a_fork_sends_its_own_spans_once_and_prints_no_summary(tmp_path: Path) -> None:
    forking = "import os, sys\nif os.fork() == 0:\n    trace.get_tracer('app').start_span('of the fork').end()\n    sys.exit()\nos.wait()\n"
    with receiver() as received:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint}
        _, _, err = run(OWN_TELEMETRY + forking, cwd=tmp_path, launcher=SUMMARISED_RUN, variables=variables)
    assert sorted(span.name for span in received.spans) == ["of the fork", "own span"]
    assert err == "otel-genai: no GenAI calls were made\n"


def test_the_summary_comes_after_all_output_of_the_script(tmp_path: Path) -> None:
    source = "import atexit, sys\natexit.register(print, 'bye', file=sys.stderr)\nraise SystemExit('no luck')"
    _, _, err = run(source, cwd=tmp_path, launcher=SUMMARISED_RUN)
    assert err.splitlines() == ["no luck", "bye", "otel-genai: no GenAI calls were made"]


# ── exporters ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_with_nothing_set_nothing_is_sent_and_nothing_is_printed(tmp_path: Path) -> None:
    # An exporter that finds no collector at its default endpoint prints an error.
    assert run(OWN_TELEMETRY, cwd=tmp_path) == (0, "", "")


EXPORTERS = """\
import gc
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace.export import SpanExporter
def exporters(base):
    modules = [type(o).__module__ for o in gc.get_objects() if issubclass(type(o), base)]
    return sorted("grpc" if ".grpc." in m else "http" if ".http." in m else "console" for m in modules)
print(exporters(SpanExporter), exporters(MetricExporter), exporters(LogRecordExporter))
"""


@pytest.mark.parametrize(
    ("variables", "exporters"),
    [
        ({}, "[] [] []"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, "[] [] []"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, "['http'] ['http'] ['http']"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "['http'] ['http'] ['http']"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}, "['grpc'] ['grpc'] ['grpc']"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4317"}, "['grpc'] ['grpc'] ['grpc']"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            "['http'] ['http'] ['http']",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc"},
            "['http'] ['http'] ['grpc']",
        ),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, "['http'] [] []"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:9/v1/metrics"}, "[] ['http'] []"),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://127.0.0.1:9/v1/logs"}, "[] [] ['http']"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_METRICS_EXPORTER": "none"},
            "['http'] [] ['http']",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "console"},
            "['console'] ['http'] ['http']",
        ),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, "['console', 'http'] [] []"),
        ({"OTEL_TRACES_EXPORTER": "otlp_proto_grpc"}, "['grpc'] [] []"),
    ],
)
def test_exporters_follow_the_environment(variables: dict[str, str], exporters: str, tmp_path: Path) -> None:
    # `os._exit`, because there is no collector that a flush could reach.
    source = EXPORTERS + "import os, sys\nsys.stdout.flush()\nos._exit(0)"
    assert run(source, cwd=tmp_path, variables=variables) == (0, f"{exporters}\n", "")


@pytest.mark.parametrize(
    ("variables", "imported"),
    [
        ({}, "['opentelemetry.sdk']"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "['opentelemetry.sdk', 'requests']"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}, "['grpc', 'opentelemetry.sdk']"),
        ({"OTEL_SDK_DISABLED": "true"}, "['opentelemetry.sdk']"),
    ],
)
def test_only_needed_libraries_are_imported(variables: dict[str, str], imported: str, tmp_path: Path) -> None:
    source = "import sys\nprint(sorted({'grpc', 'requests', 'rich', 'openai', 'opentelemetry.sdk'} & set(sys.modules)))"
    done = run(source, cwd=tmp_path, launcher=SUMMARISED_RUN, variables=variables)
    assert done[:2] == (0, f"{imported}\n")


def test_a_disabled_sdk_does_nothing(tmp_path: Path) -> None:
    with receiver() as received:
        variables = {"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint}
        status, _, err = run(OWN_TELEMETRY, cwd=tmp_path, launcher=SUMMARISED_RUN, variables=variables)
    assert (status, err) == (0, "otel-genai: no GenAI calls were made\n")
    assert received.paths == []


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "app"),
        ({"OTEL_SERVICE_NAME": "mine"}, "mine"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "team=ml, service.name=theirs"}, "theirs"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "team=ml"}, "app"),
    ],
)
def test_the_service_has_the_name_of_the_script_by_default(
    variables: dict[str, str], name: str, tmp_path: Path
) -> None:
    with receiver() as received:
        variables |= {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{received.endpoint}/v1/traces"}
        run(OWN_TELEMETRY, cwd=tmp_path, launcher=SUMMARISED_RUN, variables=variables)
    (resource,) = received.resources
    assert {a.key: a.value.string_value for a in resource.attributes}["service.name"] == name


# ── impossible settings ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "jaeger"},
            "no traces exporter named 'jaeger' is installed (installed: console, otlp_proto_grpc, otlp_proto_http)",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_PROTOCOL: unsupported protocol 'http/json' (use grpc or http/protobuf)",
        ),
        (
            {"OTEL_LOGS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "smoke"},
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: unsupported protocol 'smoke' (use grpc or http/protobuf)",
        ),
    ],
)
def test_an_impossible_setting_is_one_line(variables: dict[str, str], sentence: str, tmp_path: Path) -> None:
    done = run("print('must not run')", cwd=tmp_path, launcher=SUMMARISED_RUN, variables=variables)
    assert done == (2, "", f"otel-genai run: {sentence}\n")


def test_an_unreachable_collector_leaves_the_script_alone(tmp_path: Path) -> None:
    variables = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    status, out, err = run(OWN_TELEMETRY + "print('fine')", cwd=tmp_path, variables=variables)
    assert (status, out) == (0, "fine\n")
    assert "Traceback" not in err


# ── the provider of the run ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("variables", "yields"), [({}, True), ({"OTEL_TRACES_EXPORTER": "console"}, False)])
def test_a_library_may_set_its_own_provider_if_that_of_the_run_sends_nothing(
    variables: dict[str, str], yields: bool, tmp_path: Path
) -> None:
    """For example, vLLM sets one if an argument names an endpoint."""
    source = (
        "import openai\nfrom opentelemetry import trace\n"
        "print(hasattr(trace.get_tracer_provider(), 'otel_genai_yields_to_library'))\n"
    )
    assert run(source, cwd=tmp_path, variables=variables) == (0, f"{yields}\n", "")
