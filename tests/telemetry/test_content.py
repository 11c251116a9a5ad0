"""Content that leaves the process: redacted, cut to length, and free of keys, in error messages too."""

from __future__ import annotations

import json
from typing import Any

import pytest

import otel_genai
from otel_genai.content import Blob, File, Message, Prompt, Reasoning, Text, ToolCall, ToolCallResponse, Uri
from otel_genai.operation import Failure, Operation, Request, Response, Timing
from otel_genai.telemetry import content
from tests.support.openai.calls import scripted_call
from tests.support.openai.clients import CAPTURE
from tests.support.openai.scripted_server import Answer, completion
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


def test_redaction_applies_to_every_text_but_names_and_inline_data() -> None:
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


def test_without_removes_all_content() -> None:
    bare = content.without(FULL)
    assert content.has_content(FULL)
    assert not content.has_content(bare)
    assert bare == BARE._replace(failure=Failure(type="E", summary="E"))


def test_redaction_applies_to_spans_events_and_observers(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE, "true")
    operations: list[Operation] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    scripted_call(
        recorded, Answer(completion()), redact=lambda text: text.replace("hello", "[…]").replace("Hello", "[…]")
    )
    stop()
    written = recorded.span().to_json() + str([event.log_record.attributes for event in recorded.events()])
    assert "hello" not in (written + str(operations)).lower()
    assert json.loads(attribute(recorded.span(), "gen_ai.input.messages"))[0]["parts"][0]["content"] == "Say […]."


@pytest.mark.usefixtures("_lenient")
def test_content_that_cannot_be_redacted_is_not_written(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE, "true")

    def fails(text: str) -> str:
        raise ValueError(text)

    scripted_call(recorded, Answer(completion()), redact=fails)
    assert "gen_ai.input.messages" not in (recorded.span().attributes or {})
    assert attribute(recorded.span(), "gen_ai.usage.input_tokens") == 9


@pytest.mark.usefixtures("_lenient")
def test_content_that_cannot_be_cut_to_length_is_not_written(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAPTURE, "true")

    def fails(*_: object) -> Operation:
        raise RecursionError

    monkeypatch.setattr(content, "limited", fails)
    scripted_call(recorded, Answer(completion()))
    assert "gen_ai.input.messages" not in (recorded.span().attributes or {})
    assert attribute(recorded.span(), "gen_ai.usage.input_tokens") == 9


def test_a_limit_keeps_the_json_valid(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE, "SPAN_ONLY")
    monkeypatch.setenv("OTEL_GENAI_CONTENT_LENGTH_LIMIT", "5")
    scripted_call(recorded, Answer(completion()))
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


def test_a_failure_is_an_event_without_its_message(recorded: Recorded) -> None:
    scripted_call(recorded, WRONG_KEY)
    found = exception(recorded)
    del found["server.port"]
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "server.address": "127.0.0.1",
        "exception.type": "openai.AuthenticationError",
    }


def test_with_content_the_event_has_the_message_without_the_key(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAPTURE, "EVENT_ONLY")
    scripted_call(recorded, WRONG_KEY)
    found = exception(recorded)
    assert "Incorrect API key provided: [key], used for 'Say hello.'" in found["exception.message"]
    assert found["exception.stacktrace"].endswith("openai.AuthenticationError: " + found["exception.message"])
    assert 'File "' in found["exception.stacktrace"]
    assert "sk-secret" not in str(recorded.events()) + recorded.span().to_json()
    assert "hello" not in str(recorded.span().status.description)


def test_success_emits_no_event(recorded: Recorded) -> None:
    scripted_call(recorded, Answer(completion()))
    assert recorded.events() == []
