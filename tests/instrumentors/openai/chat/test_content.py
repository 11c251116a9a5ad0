"""Content of chat completions: where it is recorded, and its shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessage

import otel_genai
from tests.support.openai.clients import (
    CAPTURE,
    USER,
    client,
)
from tests.support.openai.scripted_server import HELLO, Answer, completion, scripted
from tests.support.providers import Recorded, attribute

CONVERSATION: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "name": "Ada", "content": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]},
    ChatCompletionMessage.model_validate(
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"closely": true}'}}
        ]}
    ),
    {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
]  # fmt: skip
RENDERED = [
    {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
    {
        "role": "user",
        "name": "Ada",
        "parts": [
            {"type": "text", "content": "What is this?"},
            {"type": "uri", "modality": "image", "uri": "https://example.org/cat.png"},
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBORw0KGgo="},
            {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "UklGRg=="},
            {"type": "file", "modality": "document", "file_id": "file-1"},
        ],
    },
    {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "call_1", "name": "look", "arguments": {"closely": True}}],
    },
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "a cat"}]},
]
ANSWER = [{"role": "assistant", "parts": [{"type": "text", "content": "Hello!"}], "finish_reason": "stop"}]
CONTENT = {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions"}
TOOLS: list[Any] = [{"type": "function", "function": {"name": "look", "description": "Look at it.", "parameters": {}}}]


@pytest.mark.parametrize(
    ("mode", "on_span", "on_event"),
    [
        ("NO_CONTENT", False, None),
        ("SPAN_ONLY", True, None),
        ("EVENT_ONLY", False, True),
        ("SPAN_AND_EVENT", True, True),
    ],
)
def test_the_four_modes_of_content(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, mode: str, on_span: bool, on_event: bool | None
) -> None:
    monkeypatch.setenv(CAPTURE, mode)
    otel_genai.instrument(**recorded.providers)
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=CONVERSATION, tools=TOOLS)
    otel_genai.uninstrument()
    span = recorded.span()
    assert span.attributes is not None
    assert (CONTENT & span.attributes.keys()) == (CONTENT if on_span else set())
    if on_span:
        assert json.loads(attribute(span, "gen_ai.input.messages")) == RENDERED
        assert json.loads(attribute(span, "gen_ai.output.messages")) == ANSWER
        assert json.loads(attribute(span, "gen_ai.tool.definitions")) == [{"type": "function", "name": "look"}]
    assert len(recorded.events()) == (1 if on_event else 0)


def plain(value: Any) -> Any:
    """A structured attribute as lists and dicts, in whichever types the SDK keeps it."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def test_the_event_has_the_spans_attributes_and_structured_content(capturing: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=CONVERSATION, tools=TOOLS)
    span = capturing.span()
    (event,) = capturing.events()
    record = event.log_record
    assert record.event_name == "gen_ai.client.inference.operation.details"
    assert record.severity_number is not None
    assert record.severity_number.value == 5
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
    assert record.timestamp == span.end_time
    found = dict(record.attributes or {})
    assert plain(found["gen_ai.input.messages"]) == RENDERED
    assert plain(found["gen_ai.output.messages"]) == ANSWER
    rest = {name: plain(value) for name, value in found.items() if name not in CONTENT}
    assert rest == {name: plain(value) for name, value in (span.attributes or {}).items() if name not in CONTENT}


def test_no_secret_is_recorded_in_any_mode(capturing: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(
            model="gpt-4o", messages=USER, extra_headers={"Authorization": "Bearer sk-other", "x-secret": "sk-third"}
        )
    written = capturing.span().to_json() + str([event.log_record.attributes for event in capturing.events()])
    assert "Say hello." in written
    assert "sk-" not in written


def test_messages_from_a_generator_reach_the_server(capturing: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=(message for message in USER))
        assert server.received[0].body["messages"] == USER
    assert "gen_ai.input.messages" not in (capturing.span().attributes or {})


def test_a_response_without_output_has_no_message(capturing: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        stream = client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True)
        next(stream)
        stream.close()
    assert "gen_ai.output.messages" not in (capturing.span().attributes or {})
