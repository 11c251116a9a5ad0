"""Chat completions and models: through the real openai library, sync and async, and as bytes over loopback."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import openai
import pytest

from otel_genai.simulator import serve
from tests.support.simulator.calls import GET_TIME, HELLO, post, send

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionUserMessageParam

HELLO_ANSWER = (
    "The scheduler remembers one more token when memory allows. The scheduler shares the same few pages. The first"
    " token remembers the slowest reader when memory allows. The decoder never outlives the slowest reader. One long"
    " prompt waits for a steady pace when memory allows. A full batch fills the next step, and then rests."
)
WEATHER: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "What is the weather in Paris today?"}]
GET_WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "metric": {"type": "boolean"},
                "hourly": {"type": "boolean"},
            },
            "required": ["city", "days", "metric"],
        },
    },
}


# ── models and health ───────────────────────────────────────────────────────────────────────────────────────────────


def test_health_is_ok(model_server: str) -> None:
    status, headers, body = send(model_server, "GET", "/health")
    assert (status, headers["content-type"], body) == (200, "application/json", '{"status":"ok"}')


def test_the_configured_models_are_listed_and_retrieved() -> None:
    with (
        serve(models=("sim-small", "lab/sim-large")) as url,
        openai.OpenAI(base_url=url, api_key="unused", max_retries=0) as client,
    ):
        assert [model.id for model in client.models.list()] == ["sim-small", "lab/sim-large"]
        found = client.models.retrieve("sim-small")
        assert (found.id, found.object, found.owned_by) == ("sim-small", "model", "otel-genai")
        assert send(url, "GET", "/v1/models/lab/sim-large")[0] == 200


# ── one completion ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_completion_has_all_fields_of_openais(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="sim-small", messages=HELLO, temperature=0.7, top_p=1)
    body = completion.to_dict(exclude_unset=True)
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{32}", str(body.pop("id")))
    assert isinstance(body.pop("created"), int)
    assert body == {
        "object": "chat.completion",
        "model": "sim-small",
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": HELLO_ANSWER, "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 4,
            "completion_tokens": 61,
            "total_tokens": 65,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


async def test_the_async_client_gets_the_same_answer(model_server: str) -> None:
    async with openai.AsyncOpenAI(base_url=model_server, api_key="unused", max_retries=0) as client:
        completion = await client.chat.completions.create(model="sim-small", messages=HELLO)
        stream = await client.chat.completions.create(model="sim-small", messages=HELLO, stream=True)
        streamed = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert completion.choices[0].message.content == HELLO_ANSWER
    assert "".join(streamed) == HELLO_ANSWER


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_the_token_limit_ends_the_answer(client: openai.OpenAI, limit: str) -> None:
    completion = client.chat.completions.create(model="sim-small", messages=HELLO, extra_body={limit: 3})
    assert completion.choices[0].message.content == "The scheduler remembers"
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 3


def test_a_stop_sequence_ends_the_answer_before_itself(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="sim-small", messages=HELLO, stop=[" token when", "members one"])
    assert completion.choices[0].message.content == "The scheduler re"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 3


def test_an_answer_that_stops_at_once_is_empty(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="sim-small", messages=HELLO, stop="The", stream=True)
    assert [(chunk.choices[0].delta.content, chunk.choices[0].finish_reason) for chunk in stream] == [
        ("", None),
        (None, "stop"),
    ]


def test_several_choices_differ_and_their_usage_is_summed(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="sim-small", messages=HELLO, n=2, max_tokens=3)
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert [choice.message.content for choice in completion.choices] == ["The scheduler remembers", "One long prompt"]
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (4, 6)


def test_the_same_seed_repeats_the_answer_and_another_does_not(client: openai.OpenAI) -> None:
    def answer(seed: int) -> str | None:
        completion = client.chat.completions.create(model="sim-small", messages=HELLO, seed=seed)
        return completion.choices[0].message.content

    assert answer(1) == answer(1)
    assert answer(1) != answer(2)
    assert answer(0) == HELLO_ANSWER


def test_parts_of_a_message_count_as_its_text(model_server: str) -> None:
    parts = [{"type": "text", "text": "Say"}, {"type": "text", "text": "hello"}]
    _, body = post(model_server, model="sim-small", messages=[{"role": "user", "content": parts}], max_tokens=3)
    assert body["choices"][0]["message"]["content"] == "The scheduler remembers"


# ── streams ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_is_byte_for_byte_what_openai_sends(model_server: str) -> None:
    request = {
        "model": "sim-small",
        "messages": HELLO,
        "max_tokens": 2,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    status, headers, body = send(model_server, "POST", "/v1/chat/completions", json.dumps(request))
    assert status == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert len(set(re.findall(r'"id":"(chatcmpl-[0-9a-f]{32})","object"', body))) == 1
    body = re.sub(r'"id":"chatcmpl-[0-9a-f]{32}"', '"id":"ID"', body)
    body = re.sub(r'"created":\d+', '"created":0', body)
    head = (
        '"id":"ID","object":"chat.completion.chunk","created":0,"model":"sim-small","service_tier":"default"'
        ',"system_fingerprint":"fp_simulated"'
    )
    assert body == (
        f'data: {{{head},"choices":[{{"index":0,"delta":{{"role":"assistant","content":""}}'
        ',"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
        f'data: {{{head},"choices":[{{"index":0,"delta":{{"content":"The"}}'
        ',"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
        f'data: {{{head},"choices":[{{"index":0,"delta":{{"content":" scheduler"}}'
        ',"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
        f'data: {{{head},"choices":[{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"length"}}],"usage":null}}'
        "\n\n"
        f'data: {{{head},"choices":[],"usage":{{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6'
        ',"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0}'
        ',"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0'
        ',"rejected_prediction_tokens":0}}}\n\n'
        "data: [DONE]\n\n"
    )


def test_usage_is_streamed_only_if_requested(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="sim-small", messages=HELLO, max_tokens=2, stream=True)
    chunks = [chunk.to_dict(exclude_unset=True) for chunk in stream]
    assert len(chunks) == 4
    assert all("usage" not in chunk for chunk in chunks)


def test_streamed_choices_step_together(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="sim-small", messages=HELLO, n=2, max_tokens=2, stream=True)
    choices = [chunk.choices[0] for chunk in stream]
    assert [(choice.index, choice.delta.role, choice.delta.content, choice.finish_reason) for choice in choices] == [
        (0, "assistant", "", None),
        (1, "assistant", "", None),
        (0, None, "The", None),
        (1, None, "One", None),
        (0, None, " scheduler", None),
        (0, None, None, "length"),
        (1, None, " long", None),
        (1, None, None, "length"),
    ]


async def test_dozens_of_streams_run_at_once(model_server: str) -> None:
    async with openai.AsyncOpenAI(base_url=model_server, api_key="unused", max_retries=0) as client:

        async def answer() -> str:
            stream = await client.chat.completions.create(model="sim-small", messages=HELLO, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        assert await asyncio.gather(*(answer() for _ in range(48))) == [HELLO_ANSWER] * 48


# ── tools ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_user_message_with_tools_gets_a_call_that_fits_the_schema(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="sim-small", messages=WEATHER, tools=[GET_WEATHER])
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert re.fullmatch(r"call_[0-9a-f]{24}", call.id)
    assert call.function.name == "get_weather"
    assert call.function.arguments == '{"city":"Paris","days":1,"metric":true}'


def test_a_streamed_call_arrives_in_fragments(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="sim-small",
        messages=WEATHER,
        tools=[GET_TIME, GET_WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        stream=True,
        stream_options={"include_usage": True},
    )
    first, *rest, last, usage = [chunk.to_dict(exclude_unset=True) for chunk in stream]
    opening: Any = first["choices"]
    call_id = opening[0]["delta"]["tool_calls"][0].pop("id")
    assert call_id.startswith("call_")
    assert opening[0]["delta"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"index": 0, "type": "function", "function": {"name": "get_weather", "arguments": ""}}],
    }
    fragments: list[Any] = [chunk["choices"] for chunk in rest]
    assert fragments[1][0]["delta"] == {"tool_calls": [{"index": 0, "function": {"arguments": '"'}}]}
    arguments = [fragment[0]["delta"]["tool_calls"][0]["function"]["arguments"] for fragment in fragments]
    assert "".join(arguments) == '{"city":"Paris","days":1,"metric":true}'
    ending: Any = last["choices"]
    assert (ending[0]["delta"], ending[0]["finish_reason"]) == ({}, "tool_calls")
    counted: Any = usage["usage"]
    assert counted["completion_tokens"] == len(fragments)


def test_a_tool_result_is_answered_with_text_whatever_the_id_of_the_call(model_server: str) -> None:
    def answer(call_id: str) -> Any:
        function = {"name": "get_weather", "arguments": "{}"}
        called = {"role": "assistant", "tool_calls": [{"id": call_id, "type": "function", "function": function}]}
        result = {"role": "tool", "tool_call_id": call_id, "content": "sunny"}
        _, body = post(model_server, model="sim-small", messages=[*WEATHER, called, result], tools=[GET_WEATHER])
        return body["choices"][0]

    first = answer("call_1")
    assert first["finish_reason"] == "stop"
    assert first["message"]["content"]
    assert "tool_calls" not in first["message"]
    assert answer("call_2") == first


def test_a_call_of_a_function_without_parameters_has_no_arguments(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="sim-small", messages=HELLO, tools=[GET_TIME], tool_choice="required"
    )
    calls = completion.choices[0].message.tool_calls or []
    assert [call.function.arguments for call in calls if call.type == "function"] == ["{}"]


def test_tool_choice_none_prevents_calls(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="sim-small", messages=WEATHER, tools=[GET_WEATHER], tool_choice="none"
    )
    assert completion.choices[0].finish_reason == "stop"


def test_arguments_follow_the_schema_in_depth(model_server: str) -> None:
    parameters = {
        "$defs": {
            "Unit": {"enum": ["celsius", "kelvin"]},
            "Place": {"properties": {"near": {"$ref": "#/$defs/Place"}, "at": {}}, "required": ["near", "at"]},
        },
        "type": "object",
        "properties": {
            "unit": {"$ref": "#/$defs/Unit"},
            "place": {"$ref": "#/$defs/Place"},
            "days": {"type": "array", "items": {"type": ["number", "null"]}},
            "version": {"const": 2},
            "any": True,
            "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        },
        "required": ["unit", "place", "days", "version", "any", "note"],
    }
    # A custom tool has no schema and is never called.
    tools: list[Any] = [{"type": "custom", "custom": {"name": "anything"}}]
    tools.append({"type": "function", "function": {"name": "get_weather", "parameters": parameters}})
    _, body = post(model_server, model="sim-small", messages=WEATHER, tools=tools)
    (call,) = body["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {
        "unit": "celsius",
        "place": {"near": None, "at": "Paris"},
        "days": [1],
        "version": 2,
        "any": "Paris",
        "note": None,
    }
