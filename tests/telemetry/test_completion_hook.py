"""Completion hooks: they receive prompts and answers, and cannot harm the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import otel_genai
from otel_genai.instrumentors.options import InstrumentOptions
from tests.support.openai.calls import scripted_call
from tests.support.openai.clients import CAPTURE, USER, client
from tests.support.openai.scripted_server import HELLO, Answer, completion, scripted
from tests.support.providers import attribute

if TYPE_CHECKING:
    from otel_genai.operation import Operation
    from tests.support.providers import Recorded


class Hook:
    """Keeps its arguments, and marks the span and the event."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def on_completion(self, **arguments: Any) -> None:
        self.calls.append(arguments)
        if arguments["span"] is not None:
            arguments["span"].set_attribute("hook", "was here")
        if arguments["log_record"] is not None:
            arguments["log_record"].attributes = {**arguments["log_record"].attributes, "hook": "was here"}


def test_a_hook_receives_content_that_is_written_nowhere(recorded: Recorded) -> None:
    types = pytest.importorskip("opentelemetry.util.genai.types")
    hook = Hook()
    operations: list[Operation] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    scripted_call(recorded, Answer(completion()), completion_hook=hook)
    stop()
    (received,) = hook.calls
    assert received["inputs"] == [types.InputMessage("user", [types.TextPart("Say hello.")])]
    assert received["outputs"] == [types.OutputMessage("assistant", [types.TextPart("Hello!")], "stop")]
    assert received["system_instruction"] == []
    assert received["tool_definitions"] is None
    assert received["log_record"] is None
    span = recorded.span()
    assert attribute(span, "hook") == "was here"
    assert "gen_ai.input.messages" not in (span.attributes or {})
    assert operations[0].prompt is None


def test_a_hook_is_called_for_streams_and_for_spans_that_are_not_sampled(recorded: Recorded) -> None:
    pytest.importorskip("opentelemetry.util.genai.types")
    recorded.tracer_provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    hook = Hook()
    otel_genai.instrument(**recorded.providers, completion_hook=hook)
    with scripted(Answer(events=HELLO)) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    otel_genai.uninstrument()
    assert [message.parts[0].content for message in hook.calls[0]["outputs"]] == ["Hello!"]


def test_a_hook_may_enrich_the_event(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.util.genai.types")
    monkeypatch.setenv(CAPTURE, "EVENT_ONLY")
    scripted_call(recorded, Answer(completion()), completion_hook=Hook())
    (event,) = recorded.events()
    attributes = dict(event.log_record.attributes or {})
    assert attributes["hook"] == "was here"
    assert "gen_ai.output.messages" in attributes


@pytest.mark.usefixtures("_lenient")
def test_a_hook_that_raises_does_not_reach_the_application(recorded: Recorded) -> None:
    pytest.importorskip("opentelemetry.util.genai.types")

    class Broken:
        def on_completion(self, **_: Any) -> None:
            raise RuntimeError

    scripted_call(recorded, Answer(completion()), completion_hook=Broken())
    assert attribute(recorded.span(), "gen_ai.usage.output_tokens") == 3


def test_the_upload_hook_of_util_genai_uploads(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    pytest.importorskip("opentelemetry.util.genai.types")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK", "upload")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH", str(tmp_path))
    scripted_call(recorded, Answer(completion()))
    reference = attribute(recorded.span(), "gen_ai.input.messages_ref")
    from opentelemetry.util.genai.completion_hook import load_completion_hook

    hook: Any = load_completion_hook()
    assert hook is not None
    assert str(tmp_path) in reference


def test_a_hook_without_its_package_is_one_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otel_genai.telemetry.completion_hook.supported", lambda: False)
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK", "upload")
    assert InstrumentOptions.parse().config.completion_hook is None
    (record,) = caplog.records
    assert record.getMessage() == (
        "completion hook 'upload' is not called: it needs opentelemetry-util-genai, which is not installed"
    )
