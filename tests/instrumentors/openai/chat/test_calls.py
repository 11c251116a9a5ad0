"""Chat completions that are not streamed: the result that the application gets, the request, the telemetry."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from opentelemetry.trace import SpanKind, StatusCode

import otel_genai
from tests.support.openai.clients import (
    BASIC,
    COMPLETED,
    NOT_GIVEN,
    USER,
    arguments,
    async_client,
    attributes,
    client,
)
from tests.support.openai.scripted_server import Answer, completion, scripted
from tests.support.providers import Recorded, attribute


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
        call_arguments = arguments(
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
        create(**call_arguments)
    parameters = {
        name: value
        for name, value in attributes(instrumented.span()).items()
        if "request" in name or "output.type" in name
    }
    assert parameters == {
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
        stopped = client(server)
    with pytest.raises(openai.APIConnectionError):
        stopped.chat.completions.create(model="gpt-4o", messages=USER)
    assert attributes(instrumented.span()) == BASIC | {"error.type": "openai.APIConnectionError"}


def test_retries_are_one_span_over_all_attempts(instrumented: Recorded) -> None:
    busy = Answer({"error": {"message": "busy"}}, status=429, headers={"retry-after-ms": "1"})
    with scripted(busy, busy, Answer(completion())) as server:
        client(server, max_retries=2).chat.completions.create(model="gpt-4o", messages=USER)
        parents = [request.headers["traceparent"].split("-")[1:3] for request in server.received]
    span = instrumented.span()
    assert span.status.status_code is StatusCode.UNSET
    assert parents == [[f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"]] * 3


def test_headers_of_the_application_have_precedence_and_its_dict_is_not_changed(instrumented: Recorded) -> None:
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


def test_requests_that_are_no_genai_operation_are_not_reported(instrumented: Recorded, model_server: str) -> None:
    assert [model.id for model in client(model_server).models.list()] == ["sim-small"]
    assert instrumented.spans(0) == []
