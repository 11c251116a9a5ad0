"""Chat completions with the real client over loopback: what the application gets, what is sent, and what is reported."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessage
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

import otel_genai
from otel_genai.instrumentors.openai.instrumentor import OpenAIInstrumentor
from tests.support.openai.clients import (
    BASIC,
    BROKEN,
    CAPTURE,
    COMPLETED,
    NOT_GIVEN,
    STREAMED,
    USER,
    arguments,
    async_client,
    attributes,
    client,
    error_type,
)
from tests.support.openai.scripted_server import CUT, HELLO, Answer, chunk, completion, delta, scripted
from tests.support.providers import Recorded, attribute

# ── whole calls ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call(instrumented: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        answer = client(server).chat.completions.create(model="gpt-4o", messages=USER)
        port = int(server.url.split(":")[2].split("/")[0])
    assert type(answer) is openai.types.chat.ChatCompletion
    span = instrumented.span()
    assert (span.name, span.kind, span.status.status_code) == ("chat gpt-4o", SpanKind.CLIENT, StatusCode.UNSET)
    assert attributes(span) == COMPLETED
    assert attribute(span, "server.port") == port
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "otel_genai.instrumentors.openai"
    assert span.instrumentation_scope.version == otel_genai.__version__
    assert span.instrumentation_scope.schema_url == "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"


async def test_an_async_call(instrumented: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        async with async_client(server) as asynchronous:
            await asynchronous.chat.completions.create(model="gpt-4o", messages=USER)
    assert attributes(instrumented.span()) == COMPLETED


def test_the_metrics_of_a_call(instrumented: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    span = instrumented.span()
    metrics = instrumented.metrics()
    assert metrics.keys() == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    (duration,) = metrics["gen_ai.client.operation.duration"]
    assert span.end_time is not None
    assert span.start_time is not None
    assert duration.sum == pytest.approx((span.end_time - span.start_time) / 1e9, abs=1e-8)
    dimensions = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "server.address": "127.0.0.1",
        "server.port": attribute(span, "server.port"),
        "openai.response.service_tier": "default",
        "openai.response.system_fingerprint": "fp_1",
    }
    assert dict(duration.attributes) == dimensions
    tokens = {point.attributes["gen_ai.token.type"]: point for point in metrics["gen_ai.client.token.usage"]}
    assert (tokens["input"].sum, tokens["output"].sum) == (9, 3)
    assert dict(tokens["input"].attributes) == dimensions | {"gen_ai.token.type": "input"}
    assert list(tokens["input"].explicit_bounds)[:3] == [1, 4, 16]


def test_every_parameter(instrumented: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        create = client(server).chat.completions.create
        asked_for = arguments(
            create,
            model="gpt-4o",
            messages=USER,
            max_completion_tokens=100,
            temperature=0,
            top_p=0.5,
            frequency_penalty=0.25,
            presence_penalty=-1,
            stop=["END", "STOP"],
            seed=42,
            n=1,
            reasoning_effort="low",
            service_tier="flex",
            response_format={"type": "json_object"},
            extra_body={"top_k": 40},
        )
        create(**asked_for)
    asked = {
        name: value
        for name, value in attributes(instrumented.span()).items()
        if "request" in name or "output.type" in name
    }
    assert asked == {
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.frequency_penalty": 0.25,
        "gen_ai.request.presence_penalty": -1.0,
        "gen_ai.request.stop_sequences": ("END", "STOP"),
        "gen_ai.request.seed": 42,
        "gen_ai.request.reasoning.level": "low",
        "openai.request.service_tier": "flex",
        "gen_ai.output.type": "json",
    }


def test_sentinels_of_the_client_are_no_parameters(instrumented: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(
            model="gpt-4o", messages=USER, temperature=NOT_GIVEN, stop=None, seed=NOT_GIVEN, stream=NOT_GIVEN
        )
    assert {name for name in attributes(instrumented.span()) if ".request." in name} == {"gen_ai.request.model"}


# ── streams ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stream(instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        stream = client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True)
        assert isinstance(stream, openai.Stream)
        assert stream.response.status_code == 200
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text == "Hello!"
    span = instrumented.span()
    assert attributes(span) == STREAMED
    first_chunk = attribute(span, "gen_ai.response.time_to_first_chunk")
    assert 0 < first_chunk < attribute(span, "otel_genai.response.time_to_first_token")
    metrics = instrumented.metrics()
    assert metrics.keys() == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.token.usage",
    }
    assert metrics["gen_ai.client.operation.time_per_output_chunk"][0].count == 4


async def test_an_async_stream(instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        async with async_client(server) as asynchronous:
            stream = await asynchronous.chat.completions.create(model="gpt-4o", messages=USER, stream=True)
            assert isinstance(stream, openai.AsyncStream)
            assert [chunk.id async for chunk in stream] == ["chatcmpl-1"] * 5
    assert attributes(instrumented.span()) == STREAMED


def test_leaving_with_closes_the_response(instrumented: Recorded) -> None:
    hold = threading.Event()
    with scripted(Answer(events=[*HELLO[:2], hold, *HELLO[2:]])) as server:
        with client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True) as stream:
            next(stream)
        assert stream.response.is_closed
        hold.set()
    expected = {name: value for name, value in STREAMED.items() if "usage" not in name}
    assert attributes(instrumented.span()) == expected | {"gen_ai.response.finish_reasons": ("error",)}
    assert instrumented.span().status.status_code is StatusCode.UNSET


def test_a_connection_that_breaks_in_mid_stream_is_an_error(instrumented: Recorded) -> None:
    with scripted(Answer(events=[*HELLO[:2], CUT])) as server:
        stream = client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True)
        with pytest.raises(BROKEN):
            list(stream)
    span = instrumented.span()
    assert attribute(span, "error.type") == error_type(BROKEN)
    assert attribute(span, "gen_ai.response.finish_reasons") == ("error",)
    assert span.status.status_code is StatusCode.ERROR


def test_an_error_that_the_server_sends_in_mid_stream_is_an_error(instrumented: Recorded) -> None:
    failing = {"error": {"message": "secret prompt overloaded", "type": "server_error", "code": "overloaded"}}
    with scripted(Answer(events=[HELLO[0], failing])) as server:
        stream = client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True)
        with pytest.raises(openai.APIError):
            list(stream)
    span = instrumented.span()
    assert attribute(span, "error.type") == "openai.APIError"
    assert span.status.description == "APIError overloaded"


def test_choices_that_are_streamed_interleaved_stay_apart(capturing: Recorded) -> None:
    events = [
        chunk(delta(0, role="assistant", content="")),
        chunk(delta(1, role="assistant", content="")),
        chunk(delta(1, content="two")),
        chunk(delta(0, content="one")),
        chunk(delta(1, finish_reason="length")),
    ]
    with scripted(Answer(events=events)) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True, n=2))
    span = capturing.span()
    assert attribute(span, "gen_ai.request.choice.count") == 2
    assert attribute(span, "gen_ai.response.finish_reasons") == ("error", "length")
    assert json.loads(attribute(span, "gen_ai.output.messages")) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "one"}], "finish_reason": "error"},
        {"role": "assistant", "parts": [{"type": "text", "content": "two"}], "finish_reason": "length"},
    ]


def test_tool_calls_that_are_streamed_interleaved_and_cut(capturing: Recorded) -> None:
    def call(index: int, arguments: str, **fields: Any) -> dict[str, Any]:
        return {
            "index": index,
            "function": {"arguments": arguments, **fields},
            **({"id": f"call_{index}"} if fields else {}),
        }

    events = [
        chunk(delta(role="assistant", content=None, tool_calls=[call(0, "", name="weather")])),
        chunk(delta(tool_calls=[call(1, "", name="time")])),
        chunk(delta(tool_calls=[call(0, '{"city":')])),
        chunk(delta(tool_calls=[call(1, '{"zone":'), call(0, '"Oslo"}')])),
        chunk(delta(finish_reason="tool_calls")),
    ]
    with scripted(Answer(events=events)) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    span = capturing.span()
    assert attribute(span, "gen_ai.response.finish_reasons") == ("tool_calls",)
    assert json.loads(attribute(span, "gen_ai.output.messages")) == [
        {
            "role": "assistant",
            "finish_reason": "tool_call",
            "parts": [
                {"type": "tool_call", "id": "call_0", "name": "weather", "arguments": {"city": "Oslo"}},
                {"type": "tool_call", "id": "call_1", "name": "time", "arguments": '{"zone":'},
            ],
        }
    ]


def test_azures_first_chunk_has_no_choices_and_no_id(instrumented: Recorded) -> None:
    opening = chunk(id="", model="", prompt_filter_results=[{"prompt_index": 0}])
    with scripted(Answer(events=[opening, *HELLO])) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    assert attributes(instrumented.span()) == STREAMED


def test_reasoning_deltas_count_as_output(capturing: Recorded) -> None:
    events = [
        chunk(delta(role="assistant", content="")),
        chunk(delta(reasoning_content="Let me think.")),
        chunk(delta(content="42", finish_reason="stop")),
    ]
    operations: list[Any] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    with scripted(Answer(events=events)) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    stop()
    assert operations[0].timing.first_token == operations[0].timing.chunks[1]
    (message,) = json.loads(attribute(capturing.span(), "gen_ai.output.messages"))
    assert message["parts"] == [{"type": "reasoning", "content": "Let me think."}, {"type": "text", "content": "42"}]


@pytest.mark.parametrize(
    ("counts", "tokens"),
    [([0, 1, 5, 5], [0, 1, 4, 0]), ([None, None, None, 5], [])],
    ids=["on every chunk", "at the end"],
)
def test_tokens_of_chunks_are_those_that_the_server_counted(
    instrumented: Recorded, counts: list[int | None], tokens: list[int]
) -> None:
    choices = [
        [delta(role="assistant", content="")],
        [delta(content="a")],
        [delta(content="bcde", finish_reason="stop")],
        [],
    ]
    events = [
        chunk(
            *choice,
            usage=None
            if count is None
            else {"prompt_tokens": 3, "completion_tokens": count, "total_tokens": 3 + count},
        )
        for choice, count in zip(choices, counts, strict=True)
    ]
    operations: list[Any] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    with scripted(Answer(events=events)) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    stop()
    assert list(operations[0].timing.tokens) == tokens
    assert attribute(instrumented.span(), "gen_ai.usage.output_tokens") == 5


# ── errors ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "error", "kind", "summary"),
    [
        (400, {"message": "secret", "type": "invalid_request_error", "code": "context_length_exceeded"},
         "openai.BadRequestError", "BadRequestError 400 context_length_exceeded"),
        (401, {"message": "Incorrect API key: sk-secret", "type": "invalid_request_error", "code": "invalid_api_key"},
         "openai.AuthenticationError", "AuthenticationError 401 invalid_api_key"),
        (429, {"message": "slow down", "type": "requests", "code": None}, "openai.RateLimitError", "RateLimitError 429 requests"),
        (500, {"message": "oops", "type": None, "code": "the prompt was: secret"},
         "openai.InternalServerError", "InternalServerError 500"),
    ],
)  # fmt: skip
def test_an_error_of_the_server(
    instrumented: Recorded, status: int, error: dict[str, Any], kind: str, summary: str
) -> None:
    with scripted(Answer({"error": error}, status=status)) as server, pytest.raises(openai.APIStatusError) as caught:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    assert caught.value.status_code == status
    span = instrumented.span()
    assert attributes(span) == BASIC | {"error.type": kind}
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, summary)
    (point,) = instrumented.metrics()["gen_ai.client.operation.duration"]
    assert point.attributes["error.type"] == kind


def test_a_server_that_is_not_there(instrumented: Recorded) -> None:
    with scripted(Answer()) as server:
        gone = client(server)
    with pytest.raises(openai.APIConnectionError):
        gone.chat.completions.create(model="gpt-4o", messages=USER)
    assert attributes(instrumented.span()) == BASIC | {"error.type": "openai.APIConnectionError"}


def test_retries_are_one_span_over_all_attempts(instrumented: Recorded) -> None:
    busy = Answer({"error": {"message": "busy"}}, status=429, headers={"retry-after-ms": "1"})
    with scripted(busy, busy, Answer(completion())) as server:
        client(server, max_retries=2).chat.completions.create(model="gpt-4o", messages=USER)
        parents = [request.headers["traceparent"].split("-")[1:3] for request in server.received]
    span = instrumented.span()
    assert span.status.status_code is StatusCode.UNSET
    assert parents == [[f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"]] * 3


# ── propagation ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_headers_that_the_application_sets_win_and_its_dict_stays_as_it_was(instrumented: Recorded) -> None:
    mine = {"traceparent": "00-11111111111111111111111111111111-2222222222222222-01"}
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER, extra_headers=mine)
        other: dict[str, str] = {"x-mine": "1"}
        client(server).chat.completions.create(model="gpt-4o", messages=USER, extra_headers=other)
        sent = [request.headers["traceparent"] for request in server.received]
    assert sent[0] == mine["traceparent"]
    assert sent[1] != mine["traceparent"]
    assert mine == {"traceparent": "00-11111111111111111111111111111111-2222222222222222-01"}
    assert other == {"x-mine": "1"}


def test_requests_that_are_no_operation_of_ours_are_left_alone(instrumented: Recorded, model_server: str) -> None:
    assert [model.id for model in client(model_server).models.list()] == ["sim-small"]
    assert instrumented.spans(0) == []


# ── content ────────────────────────────────────────────────────────────────────────────────────────────────────────────

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
    """A structured attribute as lists and dicts, however the SDK keeps it."""
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


def test_an_answer_that_never_began_is_not_invented(capturing: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        stream = client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True)
        next(stream)
        stream.close()
    assert "gen_ai.output.messages" not in (capturing.span().attributes or {})


# ── instrument and uninstrument ────────────────────────────────────────────────────────────────────────────────────────


def test_instrument_uninstrument_instrument(recorded: Recorded) -> None:
    before = vars(openai.resources.chat.completions.Completions)["create"]
    with scripted(Answer(completion())) as server:
        older = client(server)  # made before, and used throughout
        for _ in range(2):
            otel_genai.instrument(**recorded.providers)
            otel_genai.instrument(**recorded.providers)
            older.chat.completions.create(model="gpt-4o", messages=USER)
            otel_genai.uninstrument()
            otel_genai.uninstrument()
            older.chat.completions.create(model="gpt-4o", messages=USER)
    assert len(recorded.spans(2)) == 2
    assert vars(openai.resources.chat.completions.Completions)["create"] is before


def test_one_instrumentor_alone(recorded: Recorded) -> None:
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(**recorded.providers)
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    instrumentor.uninstrument()
    assert len(recorded.spans(1)) == 1


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^instrument\(\) does not know tracer; it takes tracer_provider, meter_provider, "
    ):
        otel_genai.instrument(tracer=trace.get_tracer("x"))
    assert not OpenAIInstrumentor().is_instrumented_by_opentelemetry


def test_a_version_that_is_not_supported_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(OpenAIInstrumentor, "requires", ("openai >= 1000",))
    otel_genai.instrument()
    assert not OpenAIInstrumentor().is_instrumented_by_opentelemetry
    (record,) = caplog.records
    assert (record.levelno, record.getMessage().partition(":")[0]) == (logging.WARNING, "OpenAIInstrumentor is off")


def test_a_library_that_is_not_installed_is_no_news(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(OpenAIInstrumentor, "requires", ("no-such-library >= 1",))
    otel_genai.instrument()
    assert caplog.records == []


def test_the_classes_look_as_they_did(instrumented: Recorded) -> None:
    import inspect

    create = openai.resources.chat.completions.AsyncCompletions.create
    assert not inspect.iscoroutinefunction(create)
    assert "messages" in inspect.signature(create).parameters
    assert create.__name__ == "create"


def test_opentelemetry_instrument_finds_the_instrumentor(model_server: str) -> None:
    script = (
        "import openai; openai.OpenAI().chat.completions.create("
        "model='sim-small', messages=[{'role': 'user', 'content': 'hi'}])"
    )
    done = subprocess.run(
        [Path(sys.executable).parent / "opentelemetry-instrument", sys.executable, "-c", script],
        env={
            "PATH": "/usr/bin:/bin",
            "OPENAI_BASE_URL": model_server,
            "OPENAI_API_KEY": "sk-secret",
            "OTEL_PYTHON_CONFIGURATOR": "none",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


async def test_fifty_streams_at_once_leave_the_context_as_it_was(instrumented: Recorded, model_server: str) -> None:
    tracer = instrumented.tracer_provider.get_tracer("app")

    async with async_client(model_server) as asynchronous:

        async def request(number: int) -> None:
            with tracer.start_as_current_span(f"request {number}") as parent:
                stream = await asynchronous.chat.completions.create(
                    model="sim-small", messages=USER, stream=True, max_tokens=5, user=str(number)
                )
                async for _ in stream:
                    assert trace.get_current_span() is parent
                assert trace.get_current_span() is parent

        await asyncio.gather(*map(request, range(50)))
    spans = instrumented.spans(100)
    roots = {span.context.span_id for span in spans if span.parent is None}
    children = [span.parent.span_id for span in spans if span.parent is not None]
    assert (len(roots), sorted(children)) == (50, sorted(roots))
