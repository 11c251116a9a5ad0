"""Completions, responses and embeddings: through the real openai library, and as JSON over loopback."""

from __future__ import annotations

import base64
import json
import re
import struct
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.simulator import serve
from tests.support.simulator.calls import HELLO, send

if TYPE_CHECKING:
    import openai
    from openai.types.responses import ToolParam

GET_WEATHER: ToolParam = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


def posted(url: str, path: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    status, _, body = send(url, "POST", path, json.dumps(fields))
    return status, json.loads(body)


# ── completions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_completion_continues_every_prompt_n_times(client: openai.OpenAI) -> None:
    completion = client.completions.create(model="sim-small", prompt=["a", "b"], n=2, max_tokens=3)
    assert re.fullmatch(r"cmpl-[0-9a-f]{32}", completion.id)
    assert [(choice.index, choice.text, choice.finish_reason) for choice in completion.choices] == [
        (0, "The queue never", "length"),
        (1, "A full batch", "length"),
        (2, "Every request keeps", "length"),
        (3, "A full batch", "length"),
    ]
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (2, 12)


def test_a_completion_has_sixteen_tokens_by_default(client: openai.OpenAI) -> None:
    completion = client.completions.create(model="sim-small", prompt="a")
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 16


def test_a_streamed_completion_ends_with_its_usage_if_requested(client: openai.OpenAI) -> None:
    stream = client.completions.create(
        model="sim-small", prompt="a", max_tokens=2, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert [[(choice.text, choice.finish_reason) for choice in chunk.choices] for chunk in chunks] == [
        [("The", None)],
        [(" queue", None)],
        [("", "length")],
        [],
    ]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 3


def test_a_prompt_may_be_given_as_token_ids(model_server: str) -> None:
    _, by_ids = posted(model_server, "/v1/completions", model="sim-small", prompt=[1, 2, 3])
    _, by_text = posted(model_server, "/v1/completions", model="sim-small", prompt="1 2 3")
    assert by_ids["choices"] == by_text["choices"]
    assert by_ids["usage"]["prompt_tokens"] == 3


# ── responses ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_response_has_the_same_text_as_a_chat_completion(client: openai.OpenAI) -> None:
    response = client.responses.create(model="sim-small", input="Say hello", instructions="Be brief")
    chat = client.chat.completions.create(
        model="sim-small", messages=[{"role": "system", "content": "Be brief"}, *HELLO]
    )
    assert response.output_text == chat.choices[0].message.content
    assert response.status == "completed"
    assert response.usage is not None
    assert chat.usage is not None
    assert response.usage.input_tokens == chat.usage.prompt_tokens
    assert response.usage.output_tokens == chat.usage.completion_tokens


def test_a_response_that_reaches_its_limit_is_incomplete(client: openai.OpenAI) -> None:
    response = client.responses.create(model="sim-small", input="Say hello", max_output_tokens=2)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


def test_a_streamed_responses_events_are_in_openais_order(client: openai.OpenAI) -> None:
    with client.responses.stream(model="sim-small", input="Say hello") as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[:5] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.text for event in events if event.type == "response.output_text.done"] == [final.output_text]
    assert final.output_text == client.responses.create(model="sim-small", input="Say hello").output_text


def test_the_stream_of_a_response_names_its_events_and_ends_without_done(model_server: str) -> None:
    request = {"model": "sim-small", "input": "Say hello", "max_output_tokens": 1, "stream": True}
    status, headers, body = send(model_server, "POST", "/v1/responses", json.dumps(request))
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert body.startswith('event: response.created\ndata: {"type":"response.created","sequence_number":0,')
    assert body.count("\n\n") == body.count("event: ") == 9
    assert "[DONE]" not in body


def test_tools_are_called_and_their_results_are_answered(client: openai.OpenAI) -> None:
    response = client.responses.create(model="sim-small", input="What is the weather in Paris?", tools=[GET_WEATHER])
    (call,) = response.output
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("get_weather", '{"city":"Paris"}')
    answered = client.responses.create(
        model="sim-small",
        tools=[GET_WEATHER],
        input=[
            {"role": "user", "content": "What is the weather in Paris?"},
            {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
            {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
        ],
    )
    assert [item.type for item in answered.output] == ["message"]


def test_a_streamed_call_arrives_in_fragments(client: openai.OpenAI) -> None:
    with client.responses.stream(model="sim-small", input="Weather in Paris", tools=[GET_WEATHER]) as stream:
        events = list(stream)
    fragments = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert len(fragments) > 1
    assert "".join(fragments) == '{"city":"Paris"}'
    assert not [event for event in events if event.type.startswith("response.output_text")]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": []}, "input", "empty_array"),
        ({"input": 1}, "input", "invalid_type"),
        ({"input": [1]}, "input[0]", "invalid_type"),
        ({"input": [{"role": "king", "content": "a"}]}, "input[0].role", "invalid_value"),
        ({"input": [{"role": "user", "content": 1}]}, "input[0].content", "invalid_type"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found"),
        ({"max_output_tokens": 0}, "max_output_tokens", "integer_below_min_value"),
        ({"tools": [1]}, "tools[0]", "invalid_type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter"),
        ({"tools": [{"type": "function", "name": 1}]}, "tools[0].name", "invalid_type"),
        ({"tools": [{"type": "function", "name": "f", "parameters": 1}]}, "tools[0].parameters", "invalid_type"),
        ({"tool_choice": "sometimes"}, "tool_choice", "invalid_value"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice", None),
    ],
)
def test_a_response_that_openai_refuses_is_refused(
    model_server: str, fields: dict[str, Any], param: str, code: str | None
) -> None:
    status, body = posted(model_server, "/v1/responses", **({"model": "sim-small", "input": "a"} | fields))
    assert (status, body["error"]["param"], body["error"]["code"]) == (400, param, code)


# ── embeddings ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_embedding_is_of_length_one_and_the_same_for_the_same_text(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="sim-small", input=["a b", "c", "a b"])
    first, other, again = (each.embedding for each in answer.data)
    assert [each.index for each in answer.data] == [0, 1, 2]
    assert len(first) == 256
    assert sum(value * value for value in first) == pytest.approx(1, abs=1e-5)
    assert first == again != other
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (5, 5)


def test_embeddings_have_the_requested_format_and_dimensions(model_server: str) -> None:
    _, floats = posted(model_server, "/v1/embeddings", model="sim-small", input="a b", dimensions=4)
    _, packed = posted(
        model_server, "/v1/embeddings", model="sim-small", input="a b", dimensions=4, encoding_format="base64"
    )
    assert [round(value, 4) for value in floats["data"][0]["embedding"]] == [0.8027, 0.3269, 0.4815, 0.1301]
    assert struct.unpack("<4f", base64.b64decode(packed["data"][0]["embedding"])) == pytest.approx(
        floats["data"][0]["embedding"], abs=1e-6
    )


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": []}, "input", "empty_array"),
        ({"input": [1, "a"]}, "input", "invalid_type"),
        ({"encoding_format": "hex"}, "encoding_format", "invalid_value"),
        ({"dimensions": 0}, "dimensions", "integer_below_min_value"),
    ],
)
def test_embeddings_that_openai_refuses_are_refused(
    model_server: str, fields: dict[str, Any], param: str, code: str
) -> None:
    status, body = posted(model_server, "/v1/embeddings", **({"model": "sim-small", "input": "a"} | fields))
    assert (status, body["error"]["param"], body["error"]["code"]) == (400, param, code)


# ── all endpoints ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"messages": HELLO}),
        ("/v1/completions", {"prompt": "a"}),
        ("/v1/responses", {"input": "a"}),
        ("/v1/embeddings", {"input": "a"}),
    ],
)
def test_every_endpoint_checks_the_model_and_the_error_rate(path: str, fields: dict[str, Any]) -> None:
    with serve(error_rate=1, seed=1) as url:
        assert posted(url, path, model="gpt-none", **fields)[0] == 404
        assert posted(url, path, model="sim-small", **fields)[0] == 500
        assert posted(url, path, model="sim-small", **fields)[0] == 429
