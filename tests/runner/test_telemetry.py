"""`otel-genai run` exports what the environment asks for and nothing else, and loses nothing on any way out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.otlp.receiver import receiver

RUN = (str(Path(sys.executable).with_name("otel-genai")), "run")
PATIENCE_S = 30.0
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}

OWN_TELEMETRY = """\
from opentelemetry import _logs, metrics, trace
metrics.get_meter("app").create_counter("own.counter").add(1)
_logs.get_logger("app").emit(_logs.LogRecord(body="own record"))
with trace.get_tracer("app").start_as_current_span("own span"):
    pass
"""


def run(source: str, *options: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script, given as text, to its end."""
    (cwd / "app.py").write_text(source)
    return subprocess.run(
        [*RUN, *options, "app.py"],
        cwd=cwd,
        env=ENVIRONMENT | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


# ── no way out loses anything ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("leaves", "status"),
    [
        ("pass", 0),
        ("raise ValueError", 1),
        ("import sys; sys.exit(3)", 3),
        ("raise KeyboardInterrupt", -2),
        ("import threading; threading.Thread(target=lambda: threading.main_thread().join()).start()", 0),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
        # The signal strikes while the script holds the very locks that starting a thread needs.
        ("import os, signal, threading\nwith threading._active_limbo_lock: os.kill(os.getpid(), signal.SIGTERM)", -15),
    ],
    ids=["return", "error", "exit", "interrupt", "a thread lives on", "SIGTERM", "SIGTERM under a lock"],
)
def test_all_three_signals_arrive_on_every_way_out(leaves: str, status: int, tmp_path: Path) -> None:
    with receiver() as received:
        done = run(OWN_TELEMETRY + leaves, "--no-summary", cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint)
    assert done.returncode == status
    assert [span.name for span in received.spans] == ["own span"]
    assert [metric.name for metric in received.metrics] == ["own.counter"]
    assert [record.body.string_value for record in received.logs] == ["own record"]


def test_sigterm_after_the_sdk_was_shut_down_is_no_news(tmp_path: Path) -> None:
    leaves = "metrics.get_meter_provider().shutdown()\nimport os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    with receiver() as received:
        done = run(OWN_TELEMETRY + leaves, "--no-summary", cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint)
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
    assert [metric.name for metric in received.metrics] == ["own.counter"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_from_outside_loses_nothing(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"{OWN_TELEMETRY}"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    time.sleep(0.01)\n"
    )
    with (
        receiver() as received,
        subprocess.Popen(
            [*RUN, "app.py"],
            cwd=tmp_path,
            env=ENVIRONMENT | {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -number
    assert [span.name for span in received.spans] == ["own span"]
    assert err.endswith("otel-genai: no GenAI calls were made\n")


def test_a_fork_sends_its_own_spans_once_and_prints_no_summary(tmp_path: Path) -> None:
    forking = "import os, sys\nif os.fork() == 0:\n    trace.get_tracer('app').start_span('of the fork').end()\n    sys.exit()\nos.wait()\n"
    with receiver() as received:
        done = run(OWN_TELEMETRY + forking, cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint)
    assert sorted(span.name for span in received.spans) == ["of the fork", "own span"]
    assert done.stderr == "otel-genai: no GenAI calls were made\n"


def test_the_summary_comes_after_the_last_words_of_the_script(tmp_path: Path) -> None:
    done = run(
        "import atexit, sys\natexit.register(print, 'bye', file=sys.stderr)\nraise SystemExit('no luck')", cwd=tmp_path
    )
    assert done.stderr.splitlines() == ["no luck", "bye", "otel-genai: no GenAI calls were made"]


# ── where telemetry goes ───────────────────────────────────────────────────────────────────────────────────────────────


def test_with_nothing_set_nothing_is_sent_and_nothing_is_said(tmp_path: Path) -> None:
    # An exporter that finds no collector where it looks by default says so on stderr.
    done = run(OWN_TELEMETRY, "--no-summary", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


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
    # `os._exit`: nothing listens there.
    source = EXPORTERS + "import os, sys\nsys.stdout.flush()\nos._exit(0)"
    done = run(source, "--no-summary", cwd=tmp_path, **variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{exporters}\n", "")


@pytest.mark.parametrize(
    ("variables", "imported"),
    [
        ({}, "['opentelemetry.sdk']"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "['opentelemetry.sdk', 'requests']"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}, "['grpc', 'opentelemetry.sdk']"),
        ({"OTEL_SDK_DISABLED": "true"}, "['opentelemetry.sdk']"),
    ],
)
def test_only_what_is_needed_is_imported(variables: dict[str, str], imported: str, tmp_path: Path) -> None:
    done = run(
        "import sys\nprint(sorted({'grpc', 'requests', 'rich', 'openai', 'opentelemetry.sdk'} & set(sys.modules)))",
        cwd=tmp_path,
        **variables,
    )
    assert (done.returncode, done.stdout) == (0, f"{imported}\n")


def test_a_disabled_sdk_does_nothing(tmp_path: Path) -> None:
    with receiver() as received:
        done = run(OWN_TELEMETRY, cwd=tmp_path, OTEL_SDK_DISABLED="TRUE", OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint)
    assert (done.returncode, done.stderr) == (0, "otel-genai: no GenAI calls were made\n")
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
def test_the_service_is_called_like_the_script_unless_told(
    variables: dict[str, str], name: str, tmp_path: Path
) -> None:
    with receiver() as received:
        run(
            OWN_TELEMETRY,
            cwd=tmp_path,
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{received.endpoint}/v1/traces",
            **variables,
        )
    (resource,) = received.resources
    assert {a.key: a.value.string_value for a in resource.attributes}["service.name"] == name


# ── settings that cannot be followed ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "jaeger"},
            "no traces exporter named 'jaeger' is installed (there are: console, otlp_proto_grpc, otlp_proto_http)",
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
def test_a_setting_that_cannot_be_followed_is_one_line(
    variables: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    done = run("print('must not run')", cwd=tmp_path, **variables)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"otel-genai run: {sentence}\n")


def test_an_unreachable_collector_leaves_the_script_alone(tmp_path: Path) -> None:
    done = run(
        OWN_TELEMETRY + "print('fine')",
        "--no-summary",
        cwd=tmp_path,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:9/v1/traces",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    assert (done.returncode, done.stdout) == (0, "fine\n")
    assert "Traceback" not in done.stderr
