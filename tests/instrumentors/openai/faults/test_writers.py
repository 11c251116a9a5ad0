"""The functions that write telemetry, raising: the application does not notice."""

from __future__ import annotations

import logging

import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider

import otel_genai
from otel_genai.guard import Guard
from otel_genai.telemetry import render
from tests.support.openai.clients import CAPTURE, USER, client
from tests.support.openai.faults import Bug, assert_one_warning_each, broken, call_and_stream
from tests.support.openai.scripted_server import Answer, scripted
from tests.support.providers import Recorded, attribute

pytestmark = [pytest.mark.usefixtures("_lenient"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


UNREPORTED = "a call is not reported"


NO_ATTRIBUTES = "a span lacks its attributes"


NO_CONTENT = "a span lacks its prompt and answer"


NO_EVENT = "an operation has no event"


NO_METRICS = "an operation is missing from the metrics"


@pytest.mark.parametrize(
    ("function", "what"),
    [
        ("span_name", UNREPORTED),
        ("creation_attributes", UNREPORTED),
        ("outcome_attributes", NO_ATTRIBUTES),
        ("content", NO_CONTENT),
        ("measurements", NO_METRICS),
    ],
)
def test_a_bug_in_the_rendering(
    capturing: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    function: str,
    what: str,
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    monkeypatch.setattr(render, function, broken)
    call_and_stream()
    assert len(capturing.spans(0 if what is UNREPORTED else 2)) == (0 if what is UNREPORTED else 2)
    assert_one_warning_each(caplog, what)


@pytest.mark.parametrize(
    ("method", "what"),
    [("set_attributes", {NO_ATTRIBUTES, NO_CONTENT}), ("end", {"a span was not ended"})],
)
def test_a_span_that_raises(
    capturing: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    what: set[str],
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    from opentelemetry.sdk.trace import Span

    monkeypatch.setattr(Span, method, broken)
    call_and_stream()
    assert len(capturing.spans(0 if method == "end" else 2)) == (0 if method == "end" else 2)
    assert_one_warning_each(caplog, *what)
    (duration,) = capturing.metrics()["gen_ai.client.operation.duration"]
    assert duration.count == 2


def test_a_failed_span_without_attributes_has_its_status(capturing: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "outcome_attributes", broken)
    with scripted(Answer({}, status=500)) as server, pytest.raises(openai.InternalServerError):
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    assert capturing.span().status.description == "InternalServerError 500"


def test_a_span_whose_status_cannot_be_set(
    capturing: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from opentelemetry.sdk.trace import Span

    monkeypatch.setattr(Span, "set_status", broken)
    with scripted(Answer({}, status=500)) as server, pytest.raises(openai.InternalServerError):
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    assert attribute(capturing.span(), "error.type") == "openai.InternalServerError"
    assert_one_warning_each(caplog, "a span does not say that it failed")


def test_a_tracer_and_a_processor_that_raise(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")

    class Processor:
        on_start = on_end = broken

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Processor())  # type: ignore[arg-type]
    otel_genai.instrument(**{**recorded.providers, "tracer_provider": provider})
    call_and_stream()
    otel_genai.uninstrument()
    assert_one_warning_each(caplog, UNREPORTED)


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("opentelemetry.sdk.metrics._internal.instrument._Histogram.record", NO_METRICS),
        ("opentelemetry.sdk._logs._internal.Logger.emit", NO_EVENT),
    ],
)
def test_a_writer_that_raises(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, target: str, what: str
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    monkeypatch.setenv(CAPTURE, "true")
    monkeypatch.setattr(target, broken)
    otel_genai.instrument(**recorded.providers)
    call_and_stream()
    otel_genai.uninstrument()
    monkeypatch.undo()
    assert [attribute(span, "gen_ai.response.id") for span in recorded.spans(2)] == ["chatcmpl-1"] * 2
    assert_one_warning_each(caplog, what)


def test_strict_guards_raise_our_errors(instrumented: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guard, "strict", True)
    monkeypatch.setattr(render, "outcome_attributes", broken)
    with pytest.raises(Bug):
        call_and_stream()
