"""What of prompts and answers may leave the process: redaction, limits, hooks, and the words of errors."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from otel_genai.content import Blob, File, Message, Prompt, Reasoning, Text, ToolCall, ToolCallResponse, Uri

import otel_genai
from otel_genai.operation import Failure, Operation, Request, Response, Timing
from otel_genai.telemetry import content
from tests.support.openai.clients import CAPTURE, USER, client
from tests.support.openai.scripted_server import HELLO, Answer, completion, scripted
from tests.support.providers import Recorded, attribute

BARE = Operation(request=Request(operation="chat", provider="x"), timing=Timing(began_ns=0, started=0, ended=1))
FULL = BARE._replace(
    prompt=Prompt(
        messages=(
            Message(
                role="user",
                parts=(
                    Text("abcdef"),
                    Reasoning("abcdef"),
                    ToolCall(name="abcdef", arguments={"key": ["abcdef", 1]}),
                    ToolCallResponse(response="abcdef"),
                    Uri(modality="image", uri="abcdef"),
                    Blob(modality="image", content="abcdef"),
                    Blob(modality="image", content="abcd"),
                    File(modality="document", file_id="abcdef"),
                ),
            ),
        ),
        system_instructions=(Text("abcdef"),),
    ),
    response=Response(messages=(Message(role="assistant", parts=(Text("abcdef"),)),)),
    failure=Failure(type="E", summary="E", message="abcdef", stacktrace="abcdef"),
)


def test_a_limit_cuts_every_text_and_leaves_out_long_inline_data() -> None:
    cut = content.limited(FULL, 4)
    assert cut.prompt == Prompt(
        messages=(
            Message(
                role="user",
                parts=(
                    Text("abc…"),
                    Reasoning("abc…"),
                    ToolCall(name="abcdef", arguments={"key": ["abc…", 1]}),
                    ToolCallResponse(response="abc…"),
                    Uri(modality="image", uri="abc…"),
                    Blob(modality="image", content=""),
                    Blob(modality="image", content="abcd"),
                    File(modality="document", file_id="abcdef"),
                ),
            ),
        ),
        system_instructions=(Text("abc…"),),
    )
    assert cut.response.messages[0].parts == (Text("abc…"),)
    assert cut.failure == Failure(type="E", summary="E", message="abc…", stacktrace="abc…")


def test_redaction_sees_every_text_but_names_and_inline_data() -> None:
    redacted = content.redacted(FULL, str.upper)
    assert redacted.prompt is not None
    assert redacted.prompt.messages[0].parts == (
        Text("ABCDEF"),
        Reasoning("ABCDEF"),
        ToolCall(name="abcdef", arguments={"key": ["ABCDEF", 1]}),
        ToolCallResponse(response="ABCDEF"),
        Uri(modality="image", uri="ABCDEF"),
        Blob(modality="image", content="abcdef"),
        Blob(modality="image", content="abcd"),
        File(modality="document", file_id="abcdef"),
    )
    assert redacted.failure == Failure(type="E", summary="E", message="ABCDEF", stacktrace="ABCDEF")


def test_without_content_nothing_of_it_is_left() -> None:
    bare = content.without(FULL)
    assert content.has_content(FULL)
    assert not content.has_content(bare)
    assert bare == BARE._replace(failure=Failure(type="E", summary="E"))


def call(recorded: Recorded, answer: Answer, **options: Any) -> None:
    """One call under `instrument(**options)`; errors of the server are expected."""
    otel_genai.instrument(**recorded.providers, **options)
    try:
        with scripted(answer) as server:
            client(server).chat.completions.create(model="gpt-4o", messages=USER)
    except openai.APIError:
        pass
    finally:
        otel_genai.uninstrument()


def test_what_is_written_is_redacted_everywhere(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE, "true")
    operations: list[Operation] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    call(recorded, Answer(completion()), redact=lambda text: text.replace("hello", "[…]").replace("Hello", "[…]"))
    stop()
    written = recorded.span().to_json() + str([event.log_record.attributes for event in recorded.events()])
    assert "hello" not in (written + str(operations)).lower()
    assert json.loads(attribute(recorded.span(), "gen_ai.input.messages"))[0]["parts"][0]["content"] == "Say […]."


@pytest.mark.usefixtures("_lenient")
def test_what_cannot_be_redacted_is_not_written(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE, "true")

    def fails(text: str) -> str:
        raise ValueError(text)

    call(recorded, Answer(completion()), redact=fails)
    assert "gen_ai.input.messages" not in (recorded.span().attributes or {})
    assert attribute(recorded.span(), "gen_ai.usage.input_tokens") == 9


@pytest.mark.usefixtures("_lenient")
def test_what_cannot_be_cut_to_length_is_not_written(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE, "true")

    def fails(*_: object) -> Operation:
        raise RecursionError

    monkeypatch.setattr(content, "limited", fails)
    call(recorded, Answer(completion()))
    assert "gen_ai.input.messages" not in (recorded.span().attributes or {})
    assert attribute(recorded.span(), "gen_ai.usage.input_tokens") == 9


def test_a_limit_keeps_the_json_valid(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE, "SPAN_ONLY")
    monkeypatch.setenv("OTEL_GENAI_CONTENT_LENGTH_LIMIT", "5")
    call(recorded, Answer(completion()))
    assert json.loads(attribute(recorded.span(), "gen_ai.input.messages")) == [
        {"role": "user", "parts": [{"type": "text", "content": "Say …"}]}
    ]


# ── errors ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

WRONG_KEY = Answer(
    {"error": {"message": "Incorrect API key provided: sk-secret, used for 'Say hello.'", "code": "invalid_api_key"}},
    status=401,
)


def exception(recorded: Recorded) -> dict[str, Any]:
    (event,) = [
        event.log_record
        for event in recorded.events()
        if event.log_record.event_name == "gen_ai.client.operation.exception"
    ]
    assert event.severity_number is not None
    assert event.severity_number.value == 13
    assert event.span_id == recorded.span().context.span_id
    return dict(event.attributes or {})


def test_a_failure_is_an_event_without_its_words(recorded: Recorded) -> None:
    call(recorded, WRONG_KEY)
    found = exception(recorded)
    del found["server.port"]
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "server.address": "127.0.0.1",
        "exception.type": "openai.AuthenticationError",
    }


def test_with_content_the_words_are_there_and_the_key_is_not(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAPTURE, "EVENT_ONLY")
    call(recorded, WRONG_KEY)
    found = exception(recorded)
    assert "Incorrect API key provided: [key], used for 'Say hello.'" in found["exception.message"]
    assert found["exception.stacktrace"].endswith("openai.AuthenticationError: " + found["exception.message"])
    assert 'File "' in found["exception.stacktrace"]
    assert "sk-secret" not in str(recorded.events()) + recorded.span().to_json()
    assert "hello" not in str(recorded.span().status.description)


def test_success_is_no_event(recorded: Recorded) -> None:
    call(recorded, Answer(completion()))
    assert recorded.events() == []


# ── completion hooks ───────────────────────────────────────────────────────────────────────────────────────────────────


class Hook:
    """Keeps what it is given, and marks the span and the event."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def on_completion(self, **given: Any) -> None:
        self.calls.append(given)
        if given["span"] is not None:
            given["span"].set_attribute("hook", "was here")
        if given["log_record"] is not None:
            given["log_record"].attributes = {**given["log_record"].attributes, "hook": "was here"}


def test_a_hook_is_given_content_that_is_written_nowhere(recorded: Recorded) -> None:
    types = pytest.importorskip("opentelemetry.util.genai.types")
    hook = Hook()
    operations: list[Operation] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    call(recorded, Answer(completion()), completion_hook=hook)
    stop()
    (given,) = hook.calls
    assert given["inputs"] == [types.InputMessage("user", [types.TextPart("Say hello.")])]
    assert given["outputs"] == [types.OutputMessage("assistant", [types.TextPart("Hello!")], "stop")]
    assert given["system_instruction"] == []
    assert given["tool_definitions"] is None
    assert given["log_record"] is None
    span = recorded.span()
    assert attribute(span, "hook") == "was here"
    assert "gen_ai.input.messages" not in (span.attributes or {})
    assert operations[0].prompt is None


def test_a_hook_is_called_for_streams_and_for_what_is_not_sampled(recorded: Recorded) -> None:
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
    call(recorded, Answer(completion()), completion_hook=Hook())
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

    call(recorded, Answer(completion()), completion_hook=Broken())
    assert attribute(recorded.span(), "gen_ai.usage.output_tokens") == 3


def test_upstreams_upload_hook_uploads(recorded: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    pytest.importorskip("opentelemetry.util.genai.types")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK", "upload")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH", str(tmp_path))
    call(recorded, Answer(completion()))
    reference = attribute(recorded.span(), "gen_ai.input.messages_ref")
    from opentelemetry.util.genai.completion_hook import load_completion_hook

    hook: Any = load_completion_hook()
    assert hook is not None
    assert str(tmp_path) in reference
