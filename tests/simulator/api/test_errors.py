"""Errors in OpenAI's format, errors on purpose, and disconnections of either side."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from otel_genai.simulator import serve
from otel_genai.simulator.api.app import ServerConfig, application
from otel_genai.simulator.engine.inference import Event, Generate, Inference, Prefill
from otel_genai.simulator.engine.startup import Startup
from otel_genai.simulator.engine.statistics import Statistics
from otel_genai.simulator.faults.faults import Faults
from tests.support.simulator.calls import GET_TIME, HELLO, post, send

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


# ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-none", messages=HELLO)
    assert caught.value.body == {
        "message": "The model `gpt-none` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
    assert caught.value.request_id is not None
    assert caught.value.request_id.startswith("req_")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-none")


def test_a_number_out_of_range_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="sim-small", messages=HELLO, temperature=3)
    assert caught.value.body == {
        "message": "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.",
        "type": "invalid_request_error",
        "param": "temperature",
        "code": "decimal_above_max_value",
    }


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": None}, None, None),
        ({"model": 1}, "model", "invalid_type"),
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"messages": ["hello"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "hello"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "king", "content": "hello"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content[0]", "invalid_type"),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            "messages[0].tool_call_id",
            "missing_required_parameter",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": 1}]}, "messages[0].tool_calls", "invalid_type"),
        ({"messages": [{"role": "assistant", "tool_calls": [1]}]}, "messages[0].tool_calls[0]", "invalid_type"),
        (
            {"messages": [{"role": "user", "content": [{}]}]},
            "messages[0].content[0].type",
            "missing_required_parameter",
        ),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": True}, "n", "invalid_type"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, None, "invalid_parameter_combination"),
        ({"top_p": float("nan")}, "top_p", "decimal_below_min_value"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"user": 1}, "user", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"stop": [1]}, "stop", "invalid_type"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "array_above_max_length"),
        ({"tools": [1]}, "tools[0]", "invalid_type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        ({"tools": [{"type": "function", "function": 1}]}, "tools[0].function", "invalid_type"),
        ({"tools": [{"type": "function", "function": {"name": 1}}]}, "tools[0].function.name", "invalid_type"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": 1}}]},
            "tools[0].function.parameters",
            "invalid_type",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"required": 1}}}]},
            "tools",
            "invalid_function_parameters",
        ),
        ({"tool_choice": "auto"}, "tool_choice", None),
        ({"tools": [GET_TIME], "tool_choice": "sometimes"}, "tool_choice", "invalid_value"),
        ({"tools": [GET_TIME], "tool_choice": {"type": "any"}}, "tool_choice", "invalid_type"),
        ({"tools": [GET_TIME], "tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice", None),
    ],
)
def test_a_request_that_openai_refuses_is_refused(
    model_server: str, fields: dict[str, Any], param: str | None, code: str | None
) -> None:
    status, body = post(model_server, **({"model": "sim-small", "messages": HELLO} | fields))
    assert status == 400
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert (body["error"]["type"], body["error"]["param"], body["error"]["code"]) == (
        "invalid_request_error",
        param,
        code,
    )


@pytest.mark.parametrize("body", ["", "{", "[]", '"hello"', "[" * 100_000])
def test_a_body_that_is_no_json_object_is_a_bad_request(model_server: str, body: str) -> None:
    status, _, answer = send(model_server, "POST", "/v1/chat/completions", body)
    assert (status, json.loads(answer)["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("path", "status", "message", "code"),
    [
        ("/v1/nothing", 404, "Invalid URL (GET /v1/nothing)", None),
        ("/v1/models/", 404, "The model `` does not exist or you do not have access to it.", "model_not_found"),
        ("/v1/chat/completions", 405, "Not allowed: GET /v1/chat/completions.", "method_not_supported"),
    ],
)
def test_http_errors_have_openais_format_too(
    model_server: str, path: str, status: int, message: str, code: str | None
) -> None:
    answered, headers, body = send(model_server, "GET", path)
    error = json.loads(body)["error"]
    assert answered == status
    assert (error["message"], error["type"], error["code"]) == (message, "invalid_request_error", code)
    assert headers["x-request-id"].startswith("req_")


def test_an_error_rate_of_one_fails_every_request() -> None:
    with (
        serve(error_rate=1, seed=1) as url,
        openai.OpenAI(base_url=url, api_key="unused", max_retries=0) as client,
    ):
        with pytest.raises(openai.InternalServerError) as failed:
            client.chat.completions.create(model="sim-small", messages=HELLO)
        with pytest.raises(openai.RateLimitError) as limited:
            client.chat.completions.create(model="sim-small", messages=HELLO, stream=True)
        assert client.models.list().data[0].id == "sim-small"
    assert (failed.value.status_code, failed.value.type, failed.value.code) == (500, "server_error", None)
    assert (limited.value.status_code, limited.value.code) == (429, "rate_limit_exceeded")


def test_the_seed_determines_which_requests_fail() -> None:
    def statuses(seed: int) -> list[int]:
        faults = Faults({"error_rate": 0.5}, seed=seed)
        return [fault.status if fault else 200 for fault in (faults.next_error() for _ in range(8))]

    assert statuses(1) == statuses(1)
    assert set(statuses(1)) == {200, 429, 500}


def test_lone_surrogates_are_returned_unchanged(model_server: str) -> None:
    status, body = post(model_server, model="sim-small", messages=[{"role": "user", "content": "\ud800"}], max_tokens=1)
    assert (status, body["usage"]["completion_tokens"]) == (200, 1)
    assert post(model_server, model="\ud800", messages=HELLO)[0] == 404


# ── disconnections ──────────────────────────────────────────────────────────────────────────────────────────────────


async def exchange(generate: Generate, leaves: asyncio.Event, *, stream: bool = False) -> list[Any]:
    """The messages that the application sends to a client that disconnects when `leaves` is set."""
    app = application(
        ServerConfig(
            models=["sim-small"], generate=generate, statistics=Statistics(), faults=Faults(), startup=Startup()
        )
    )
    body = json.dumps({"model": "sim-small", "messages": HELLO, "stream": stream}).encode()
    incoming: list[dict[str, Any]] = [{"type": "http.request", "body": body}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop()
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": [],
        "query_string": b"",
        "server": ("127.0.0.1", 80),
    }
    try:
        await app(scope, receive, send)
    except ZeroDivisionError:
        sent.append("raised")
    return sent


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_disconnects_stops_the_generation(stream: bool) -> None:
    generating, stopped = asyncio.Event(), asyncio.Event()

    async def endless(inference: Inference) -> AsyncGenerator[Event, None]:
        try:
            yield Prefill(1)
            generating.set()
            await asyncio.Event().wait()
        finally:
            stopped.set()

    await exchange(endless, generating, stream=stream)
    assert stopped.is_set()


async def test_a_failure_of_the_simulator_is_an_error_response() -> None:
    async def broken(inference: Inference) -> AsyncGenerator[Event, None]:
        yield Prefill(1)
        raise ZeroDivisionError("oops")

    start, body, raised = await exchange(broken, asyncio.Event())
    assert start["status"] == 500
    assert json.loads(body["body"])["error"]["message"] == "The simulator itself failed: ZeroDivisionError('oops')"
    assert raised == "raised"


def test_the_end_of_a_server_cuts_off_open_streams() -> None:
    with serve(itl=3600) as url, openai.OpenAI(base_url=url, api_key="unused", max_retries=0) as client:
        stream = client.chat.completions.create(model="sim-small", messages=HELLO, stream=True)
        assert next(stream).choices[0].delta.role == "assistant"
        assert next(stream).choices[0].delta.content == "The"
    stream.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_cannot_start_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    async def startup(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("uvicorn.Server.startup", startup)
    with pytest.raises(RuntimeError, match="the simulator's server did not start"), serve():
        pass
