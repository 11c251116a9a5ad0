"""Our words into the conventions': one whole operation as a literal, and every rule that leaves something out."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from otel_genai.content import Blob, File, Message, Part, Prompt, Reasoning, Text, Tool, ToolCall, ToolCallResponse, Uri
from otel_genai.operation import Failure, Operation, Request, Response, Timing, Usage
from otel_genai.semconv.metrics import Measure
from otel_genai.telemetry import render

SCHEMAS = Path(__file__).parents[1] / "support" / "schemas"

REQUEST = Request(
    operation="chat",
    provider="openai",
    model="gpt-4o",
    api="chat_completions",
    server_address="api.openai.com",
    server_port=443,
    stream=True,
    choice_count=2,
    max_tokens=100,
    temperature=0.5,
    top_p=0.9,
    top_k=40,
    frequency_penalty=0.1,
    presence_penalty=0.2,
    stop_sequences=("END",),
    seed=7,
    output_type="json",
    reasoning_level="low",
    service_tier="flex",
)
RESPONSE = Response(
    id="chatcmpl-1",
    model="gpt-4o-2024-08-06",
    finish_reasons=("stop", "length"),
    usage=Usage(
        input=300,
        output=50,
        cache_read=40,
        cache_write=0,
        reasoning=8,
        input_by_modality={"text": 100, "image": 200, "audio": 0},
    ),
    service_tier="default",
    system_fingerprint="fp_1",
)
TIMING = Timing(
    began_ns=1_000_000_000,
    started=10.0,
    ended=12.5,
    chunks=(10.5, 11.25, 12.0),
    waits=(0.0, 0.5, 0.25),
    first_token=11.25,
)
OPERATION = Operation(request=REQUEST, response=RESPONSE, timing=TIMING)
BARE = Operation(
    request=Request(operation="chat", provider="openai"), timing=Timing(began_ns=0, started=0.0, ended=0.25)
)


def test_everything_that_is_known_becomes_an_attribute() -> None:
    assert render.span_name(REQUEST) == "chat gpt-4o"
    assert render.creation_attributes(REQUEST) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "server.address": "api.openai.com",
        "server.port": 443,
    }
    assert render.outcome_attributes(OPERATION) == {
        "openai.api.type": "chat_completions",
        "gen_ai.output.type": "json",
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.seed": 7,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.request.stream": True,
        "gen_ai.request.choice.count": 2,
        "openai.request.service_tier": "flex",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "openai.response.service_tier": "default",
        "openai.response.system_fingerprint": "fp_1",
        "gen_ai.response.finish_reasons": ("stop", "length"),
        "gen_ai.usage.input_tokens": 300,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.reasoning.output_tokens": 8,
        "gen_ai.usage.text.input_tokens": 100,
        "gen_ai.usage.image.input_tokens": 200,
        "gen_ai.response.time_to_first_chunk": 0.5,
        "otel_genai.response.time_to_first_token": 1.25,
    }


def test_unknown_values_are_left_out() -> None:
    assert render.span_name(BARE.request) == "chat"
    assert render.creation_attributes(BARE.request) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
    }
    assert render.outcome_attributes(BARE) == {}
    assert render.content(BARE) == {}


def test_defaults_that_say_nothing_are_left_out() -> None:
    request = BARE.request._replace(choice_count=1, service_tier="auto", stream=False)
    assert render.outcome_attributes(BARE._replace(request=request)) == {}


def test_a_failure_is_its_type() -> None:
    failed = BARE._replace(failure=Failure(type="openai.RateLimitError", summary="RateLimitError 429"))
    assert render.outcome_attributes(failed) == {"error.type": "openai.RateLimitError"}


def test_measurements_of_a_stream() -> None:
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "server.address": "api.openai.com",
        "server.port": 443,
    }
    refined = common | {"openai.response.service_tier": "default", "openai.response.system_fingerprint": "fp_1"}
    assert list(render.measurements(OPERATION)) == [
        (Measure.TIME_TO_FIRST_CHUNK, (0.5,), common),
        (Measure.TIME_PER_OUTPUT_CHUNK, [0.75, 0.75], common),
        (Measure.TIME_TO_FIRST_TOKEN, (1.25,), common),
        (Measure.TIME_PER_OUTPUT_TOKEN, (1.25 / 24,), common),  # 25 tokens each for two choices
        (Measure.DURATION, (2.5,), refined),
        (Measure.INPUT_TOKENS, (300,), refined),
        (Measure.OUTPUT_TOKENS, (50,), refined),
        (Measure.INPUT_TOKENS_BY_MODALITY, (100,), refined | {"gen_ai.token.modality": "text"}),
        (Measure.INPUT_TOKENS_BY_MODALITY, (200,), refined | {"gen_ai.token.modality": "image"}),
        (Measure.OUTPUT_TOKENS_BY_MODALITY, (50,), refined | {"gen_ai.token.modality": "unknown"}),
        (Measure.CACHE_READ_TOKENS_BY_MODALITY, (40,), refined | {"gen_ai.token.modality": "unknown"}),
        (Measure.REASONING_TOKENS_BY_MODALITY, (8,), refined | {"gen_ai.token.modality": "unknown"}),
    ]


def test_without_usage_there_are_no_token_measurements() -> None:
    assert [measure for measure, _, _ in render.measurements(BARE)] == [Measure.DURATION]


def test_only_the_duration_knows_of_a_failure() -> None:
    failed = OPERATION._replace(failure=Failure(type="toy.Error", summary="Error"))
    with_error = {measure for measure, _, attributes in render.measurements(failed) if "error.type" in attributes}
    assert with_error == {Measure.DURATION}


def conversation(*parts: Part) -> Operation:
    return BARE._replace(prompt=Prompt(messages=(Message(role="user", parts=parts, name="Ada"),)))


EVERY_PART: tuple[Part, ...] = (
    Text("hello"),
    Reasoning("hm"),
    ToolCall(name="weather", arguments={"city": "Oslo"}, id="call_1"),
    ToolCallResponse(response={"degrees": 3}, id="call_1"),
    Blob(modality="audio", content="UklGRg==", mime_type="audio/wav"),
    File(modality="document", file_id="file-1"),
    Uri(modality="image", uri="https://example.org/cat.png"),
)


def test_content_is_structured_by_the_message_schema() -> None:
    operation = conversation(*EVERY_PART)._replace(
        response=Response(messages=(Message(role="assistant", parts=(Text("hi"),), finish_reason="stop"),)),
    )
    assert render.content(operation) == {
        "gen_ai.input.messages": [
            {
                "role": "user",
                "name": "Ada",
                "parts": [
                    {"type": "text", "content": "hello"},
                    {"type": "reasoning", "content": "hm"},
                    {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Oslo"}},
                    {"type": "tool_call_response", "id": "call_1", "response": {"degrees": 3}},
                    {"type": "blob", "mime_type": "audio/wav", "modality": "audio", "content": "UklGRg=="},
                    {"type": "file", "modality": "document", "file_id": "file-1"},
                    {"type": "uri", "modality": "image", "uri": "https://example.org/cat.png"},
                ],
            }
        ],
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "text", "content": "hi"}], "finish_reason": "stop"}
        ],
    }


@pytest.mark.parametrize(
    ("attribute", "schema"),
    [
        ("gen_ai.input.messages", "gen-ai-input-messages.json"),
        ("gen_ai.output.messages", "gen-ai-output-messages.json"),
        ("gen_ai.system_instructions", "gen-ai-system-instructions.json"),
        ("gen_ai.tool.definitions", "gen-ai-tool-definitions.json"),
    ],
)
def test_content_is_valid_by_the_conventions_own_schema(attribute: str, schema: str) -> None:
    operation = BARE._replace(
        prompt=Prompt(
            messages=(Message(role="user", parts=EVERY_PART),),
            system_instructions=(Text("Be brief."),),
            tools=(Tool(name="weather"), Tool(name="search", type="web_search")),
        ),
        response=Response(messages=(Message(role="assistant", parts=EVERY_PART, finish_reason="tool_call"),)),
    )
    jsonschema.validate(render.content(operation)[attribute], json.loads((SCHEMAS / schema).read_text()))


def test_a_lone_surrogate_costs_one_character_not_the_message() -> None:
    operation = conversation(Text("a\ud800b"), ToolCall(name="f", arguments={"k\udfff": ["\ud800"]}))
    (message,) = render.content(operation)["gen_ai.input.messages"]
    assert message["parts"] == [
        {"type": "text", "content": "a?b"},
        {"type": "tool_call", "name": "f", "arguments": {"k?": ["?"]}},
    ]


def test_values_without_a_json_type_become_text() -> None:
    (message,) = render.content(conversation(ToolCallResponse(response=Path("/x"))))["gen_ai.input.messages"]
    assert message["parts"] == [{"type": "tool_call_response", "response": "/x"}]
