"""The Responses API: the telemetry of a response that is created, fetched or compacted."""

from __future__ import annotations

import importlib
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel

from otel_genai.endpoint.rows import CallRow
from otel_genai.instrumentors.openai.instrumentor import OpenAIInstrumentor
from tests.support.openai.clients import NO_RESPONSES, NOT_GIVEN, async_client, attributes, client
from tests.support.openai.expected_content import answered, content, without_content
from tests.support.openai.scripted_responses import (
    ANSWERED,
    BASIC,
    CALL,
    COMPACTION,
    HELLO,
    NAMED,
    SEARCH,
    STREAM,
    STREAMED,
    THOUGHT,
    USAGE,
    response,
    unfinished,
)
from tests.support.openai.scripted_server import Answer, scripted
from tests.support.providers import attribute

if TYPE_CHECKING:
    from tests.support.providers import Recorded

Responses: Any = pytest.importorskip("openai.resources.responses.responses", reason=NO_RESPONSES).Responses


# ── whole calls ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call(instrumented: Recorded) -> None:
    with scripted(Answer(response())) as server:
        answer = client(server).responses.create(model="gpt-4o", input="Say hello.")
    assert type(answer) is openai.types.responses.Response
    assert answer.output_text == "Hello!"
    span = instrumented.span()
    assert (span.name, span.kind, span.status.status_code) == ("chat gpt-4o", SpanKind.CLIENT, StatusCode.UNSET)
    assert attributes(span) == ANSWERED


async def test_an_async_call(instrumented: Recorded) -> None:
    with scripted(Answer(response())) as server:
        async with async_client(server) as asynchronous:
            await asynchronous.responses.create(model="gpt-4o", input="Say hello.")
    assert attributes(instrumented.span()) == ANSWERED


def test_the_metrics_of_a_call(instrumented: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.create(model="gpt-4o", input="Say hello.")
    metrics = instrumented.metrics()
    assert metrics.keys() == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    tokens = {point.attributes["gen_ai.token.type"]: point for point in metrics["gen_ai.client.token.usage"]}
    assert (tokens["input"].sum, tokens["output"].sum) == (9, 3)
    assert dict(tokens["output"].attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "server.address": "127.0.0.1",
        "server.port": attribute(instrumented.span(), "server.port"),
        "openai.response.service_tier": "default",
        "gen_ai.token.type": "output",
    }


def test_the_event_of_a_call(capturing: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.create(model="gpt-4o", input="Say hello.")
    (event,) = capturing.events()
    assert event.log_record.event_name == "gen_ai.client.inference.operation.details"
    found = dict(event.log_record.attributes or {})
    assert {name: found[name] for name in ANSWERED} == ANSWERED
    assert {"gen_ai.input.messages", "gen_ai.output.messages"} <= found.keys()


def test_every_parameter(instrumented: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.create(
            model="gpt-4o",
            input="Say hello.",
            max_output_tokens=100,
            temperature=0,
            top_p=0.5,
            reasoning={"effort": "low"},
            text={"format": {"type": "json_object"}},
            service_tier="flex",
            previous_response_id="resp_0",
            conversation={"id": "conv_1"},
            extra_body={"top_k": 40, "max_output_tokens": 200},
        )
    assert attributes(instrumented.span()) == ANSWERED | {
        "gen_ai.request.max_tokens": 200,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.request.previous_response.id": "resp_0",
        "gen_ai.conversation.id": "conv_1",
        "gen_ai.output.type": "json",
        "openai.request.service_tier": "flex",
    }


def test_sentinels_of_the_client_are_no_parameters(instrumented: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.create(
            model="gpt-4o", input="Hi", temperature=NOT_GIVEN, reasoning=None, text=NOT_GIVEN, stream=NOT_GIVEN
        )
    assert attributes(instrumented.span()) == ANSWERED


def test_a_prompt_template_is_recorded_without_its_variables(instrumented: Recorded) -> None:
    template: Any = {"id": "pmpt_1", "version": "2", "variables": {"name": "secret"}}
    with scripted(Answer(response())) as server:
        client(server).responses.create(model="gpt-4o", prompt=template)
        client(server).responses.create(model="gpt-4o", prompt={"id": "pmpt_1"})
    versioned, latest = instrumented.spans(2)
    assert attributes(versioned) == ANSWERED | {"gen_ai.prompt.name": "pmpt_1", "gen_ai.prompt.version": "2"}
    assert attributes(latest) == ANSWERED | {"gen_ai.prompt.name": "pmpt_1"}


def test_the_conversation_of_the_server_has_precedence(instrumented: Recorded) -> None:
    with scripted(Answer(response(conversation={"id": "conv_new"}))) as server:
        client(server).responses.create(model="gpt-4o", input="Hi", conversation="conv_asked")
    assert attribute(instrumented.span(), "gen_ai.conversation.id") == "conv_new"


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, ("stop",)),
        ({"output": [HELLO, CALL]}, ("tool_calls",)),
        ({"output": [CALL, THOUGHT]}, ("tool_calls",)),
        ({"output": [{**CALL, "type": "custom_tool_call", "input": "x"}]}, ("tool_calls",)),
        ({"output": [CALL, {"type": "function_call_output", "call_id": "call_1", "output": "12°"}, HELLO]}, ("stop",)),
        ({"output": [SEARCH, HELLO]}, ("stop",)),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, ("length",)),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, ("content_filter",)),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, ("steered",)),
        ({"status": "incomplete"}, ("error",)),
        ({"status": "failed", "error": {"code": "server_error", "message": "secret"}}, ("error",)),
        ({"status": "cancelled"}, ("error",)),
        ({"status": None}, ("error",)),
        ({"status": "queued", "output": [], "usage": None}, None),
        ({"status": "in_progress", "output": [], "usage": None}, None),
    ],
)
def test_the_status_is_the_finish_reason(
    instrumented: Recorded, changes: dict[str, Any], reasons: tuple[str, ...] | None
) -> None:
    with scripted(Answer(response(**changes))) as server:
        client(server).responses.create(model="gpt-4o", input="Hi", extra_body={"background": True})
    span = instrumented.span()
    assert (span.attributes or {}).get("gen_ai.response.finish_reasons") == reasons
    assert span.status.status_code is StatusCode.UNSET


def test_missing_usage_is_not_invented(instrumented: Recorded) -> None:
    with scripted(Answer(response(usage=None))) as server:
        client(server).responses.create(model="gpt-4o", input="Hi")
    assert not [name for name in attributes(instrumented.span()) if "usage" in name]
    assert instrumented.metrics().keys() == {"gen_ai.client.operation.duration"}


def test_an_error_of_the_server(instrumented: Recorded) -> None:
    error = {"message": "secret", "type": "requests", "code": "rate_limit_exceeded"}
    with scripted(Answer({"error": error}, status=429)) as server, pytest.raises(openai.RateLimitError):
        client(server).responses.create(model="gpt-4o", input="Hi")
    span = instrumented.span()
    assert attributes(span) == BASIC | {"error.type": "openai.RateLimitError"}
    assert (span.status.status_code, span.status.description) == (
        StatusCode.ERROR,
        "RateLimitError 429 rate_limit_exceeded",
    )


def test_a_raw_response_is_reported(capturing: Recorded) -> None:
    with scripted(Answer(response())) as server:
        raw = client(server).responses.with_raw_response.create(model="gpt-4o", input="Hi")
        assert raw.parse().output_text == "Hello!"
    span = capturing.span()
    assert {name: attributes(span)[name] for name in ANSWERED} == ANSWERED
    assert content(span, "output.messages") == answered("Hello!", finish_reason="stop")


def test_compaction_by_the_server_is_reported(capturing: Recorded) -> None:
    with scripted(Answer(response(COMPACTION, HELLO))) as server:
        client(server).responses.create(model="gpt-4o", input="Hi")
    assert attribute(capturing.span(), "gen_ai.conversation.compacted") is True


# ── parse, compact, beta ───────────────────────────────────────────────────────────────────────────────────────────────


class Greeting(BaseModel):
    word: str


PARSEABLE = {**HELLO, "content": [{"type": "output_text", "text": '{"word": "Hello"}', "annotations": []}]}


def test_parse_is_one_span(capturing: Recorded) -> None:
    with scripted(Answer(response(PARSEABLE))) as server:
        answer = client(server).responses.parse(model="gpt-4o", input="Hi", text_format=Greeting)
    assert answer.output_parsed == Greeting(word="Hello")
    span = capturing.span()
    assert without_content(span) == ANSWERED | {"gen_ai.output.type": "json"}
    assert content(span, "output.messages") == answered('{"word": "Hello"}', finish_reason="stop")


async def test_parse_async(instrumented: Recorded) -> None:
    with scripted(Answer(response(PARSEABLE))) as server:
        async with async_client(server) as asynchronous:
            answer = await asynchronous.responses.parse(model="gpt-4o", input="Hi", text_format=Greeting)
    assert answer.output_parsed == Greeting(word="Hello")
    assert attributes(instrumented.span()) == ANSWERED | {"gen_ai.output.type": "json"}


COMPACTED = {
    "id": "resp_2",
    "object": "response.compaction",
    "created_at": 1,
    "output": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}, COMPACTION],
    "usage": USAGE,
}


@pytest.mark.skipif(not hasattr(Responses, "compact"), reason="this version of the client does not compact")
async def test_compact(capturing: Recorded) -> None:
    with scripted(Answer(COMPACTED)) as server:
        client(server).responses.compact(model="gpt-4o", input="Hi", previous_response_id="resp_1")
        async with async_client(server) as asynchronous:
            await asynchronous.responses.compact(model="gpt-4o", input="Hi", previous_response_id="resp_1")
        assert [received.path for received in server.received] == ["/v1/responses/compact"] * 2
    for span in capturing.spans(2):
        assert without_content(span) == {
            **BASIC,
            "gen_ai.request.previous_response.id": "resp_1",
            "gen_ai.response.id": "resp_2",
            "gen_ai.conversation.compacted": True,
            **{name: value for name, value in ANSWERED.items() if "usage" in name},
        }


@pytest.mark.skipif(find_spec("openai.resources.beta.responses") is None, reason="this version has no beta of it")
async def test_the_beta_surface_is_one_span_a_call(instrumented: Recorded) -> None:
    with scripted(Answer(response()), Answer(response()), Answer(events=STREAM)) as server:
        client(server).beta.responses.create(model="gpt-4o", input="Hi")
        client(server).beta.responses.retrieve("resp_1")
        async with async_client(server) as asynchronous:
            async for _ in await asynchronous.beta.responses.create(model="gpt-4o", input="Hi", stream=True):
                pass
    created, fetched, streamed = instrumented.spans(3)
    assert attributes(created) == ANSWERED
    assert fetched.name == "fetch_response"
    assert attributes(streamed) == STREAMED


def test_a_target_that_this_version_lacks_is_optional_or_in_a_module_that_it_lacks() -> None:
    for row in OpenAIInstrumentor.rows:
        try:
            module = importlib.import_module(row.module)
        except ModuleNotFoundError:
            continue
        owner, method = row.target.split(".")
        assert (isinstance(row, CallRow) and row.optional) or callable(getattr(getattr(module, owner), method))


# ── fetched responses ──────────────────────────────────────────────────────────────────────────────────────────────────

FETCHED = {
    **NAMED,
    "gen_ai.operation.name": "fetch_response",
    "gen_ai.provider.name": "openai",
    "server.address": "127.0.0.1",
    "openai.api.type": "responses",
    "gen_ai.response.status": "completed",
    "gen_ai.response.finish_reasons": ("stop",),
}


def test_a_fetch_has_the_status_and_the_answer_but_no_tokens(capturing: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.retrieve("resp_1")
    span = capturing.span()
    assert (span.name, span.kind) == ("fetch_response", SpanKind.CLIENT)
    assert without_content(span) == FETCHED
    assert content(span, "output.messages") == answered("Hello!", finish_reason="stop")
    assert capturing.metrics().keys() == {"gen_ai.client.operation.duration"}
    assert capturing.events() == []


async def test_an_async_fetch_of_a_queued_response(capturing: Recorded) -> None:
    with scripted(Answer(unfinished("queued"))) as server:
        async with async_client(server) as asynchronous:
            await asynchronous.responses.retrieve("resp_1")
    expected = FETCHED | {"gen_ai.response.status": "queued"}
    del expected["gen_ai.response.finish_reasons"]
    assert attributes(capturing.span()) == expected


def test_a_fetch_as_a_stream_names_its_cursor(capturing: Recorded) -> None:
    with scripted(Answer(events=STREAM[5:])) as server:
        stream = client(server).responses.retrieve("resp_1", stream=True, starting_after=5)
        assert isinstance(stream, openai.Stream)
        assert len(list(stream)) == 5
    assert without_content(capturing.span()) == FETCHED | {
        "gen_ai.request.stream": True,
        "gen_ai.request.stream_cursor": "5",
    }


def test_a_fetched_stream_that_is_left_has_the_last_status(instrumented: Recorded) -> None:
    hold = threading.Event()
    with scripted(Answer(events=[*STREAM[:5], hold])) as server:
        with client(server).responses.retrieve("resp_1", stream=True) as stream:
            next(stream)
        hold.set()
    expected = FETCHED | {"gen_ai.response.status": "in_progress", "gen_ai.request.stream": True}
    del expected["gen_ai.response.finish_reasons"]
    assert attributes(instrumented.span()) == expected


@pytest.mark.parametrize("stream", [False, True])
def test_a_fetch_of_a_missing_response_has_the_requested_id(instrumented: Recorded, stream: Any) -> None:
    with scripted(Answer({"error": {"code": "not_found"}}, status=404)) as server, pytest.raises(openai.NotFoundError):
        client(server).responses.retrieve("resp_1", stream=stream)
    span = instrumented.span()
    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span) == {
        "gen_ai.operation.name": "fetch_response",
        "gen_ai.provider.name": "openai",
        "server.address": "127.0.0.1",
        "openai.api.type": "responses",
        "gen_ai.response.id": "resp_1",
        "error.type": "openai.NotFoundError",
        **({"gen_ai.request.stream": True} if stream else {}),
    }
