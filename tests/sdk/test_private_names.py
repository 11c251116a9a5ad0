"""Each private name of OpenTelemetry has a way back: without it, telemetry is sent all the same, and nothing fails."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace

from otel_genai.runner import traceparent
from otel_genai.sdk import replacement
from tests.support.otlp.names import service_names, span_names
from tests.support.processes import OWN_TELEMETRY, outcome

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.otlp.receiver import Received

RUN_WITHOUT = """\
import sys
import opentelemetry.sdk.trace, opentelemetry.instrumentation.environment_variables
{hide}
from otel_genai.cli import main
sys.exit(main(["run", "--no-summary", "app.py"]))
"""
HIDE_CONFIGURATOR = "sys.modules['opentelemetry.sdk._configuration'] = None"
HIDE_CACHE = """\
sys.modules["opentelemetry.util._importlib_metadata"] = None
import otel_genai.sdk.plugins
# OpenTelemetry's own packages need it.
del sys.modules["opentelemetry.util._importlib_metadata"]
"""


@pytest.mark.parametrize("hide", [HIDE_CONFIGURATOR, HIDE_CACHE], ids=["configurator", "cache of entry points"])
def test_without_a_private_module_the_sdk_is_set_up(
    hide: str, received: Received, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(OWN_TELEMETRY)
    launcher = (sys.executable, "-c", RUN_WITHOUT.format(hide=hide))
    assert outcome(launcher, cwd=tmp_path, **variables) == (0, "", "")
    assert span_names(received) == ["own span"]
    assert [metric.name for metric in received.metrics] == ["own.counter"]
    assert [record.body.string_value for record in received.logs] == ["own record"]
    assert service_names(received) == {"app"}


def test_without_the_private_names_of_the_api_the_providers_of_the_run_stay(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replacement, "_SET_ONCE", (("opentelemetry.trace", "_NO_SUCH_NAME"), ("no.such.module", "_A")))
    with caplog.at_level(logging.DEBUG, "otel_genai"):
        replacement.allow_replacement(lambda: pytest.fail("no provider was replaced"))
    assert "get_tracer" not in vars(trace.get_tracer_provider())
    unknown = "opentelemetry.trace._NO_SUCH_NAME, no.such.module._A"
    assert caplog.messages == [f"The program cannot replace the runner's providers: unknown to the API: {unknown}"]


def test_without_the_runtime_context_traceparent_is_ignored(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(traceparent, "context", SimpleNamespace())
    with caplog.at_level(logging.DEBUG, "otel_genai"):
        traceparent.follow({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    assert caplog.messages == ["TRACEPARENT is ignored: unknown to the API: opentelemetry.context._RUNTIME_CONTEXT"]
