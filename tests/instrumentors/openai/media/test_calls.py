"""Images, audio and moderations that are not streamed: the result that the application gets, and the telemetry."""

from __future__ import annotations

import io
from typing import Any

import openai
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from otel_genai.endpoint.arguments import Arguments
from otel_genai.instrumentors.openai import audio, images, moderations
from tests.support.openai.clients import async_client
from tests.support.openai.expected_content import content, without_content
from tests.support.openai.media import CALLS, SOUND, all_telemetry, every_call
from tests.support.openai.media import untyped_client as client
from tests.support.openai.scripted_server import Answer, scripted
from tests.support.providers import Recorded, attribute


@every_call
def test_a_call(instrumented: Recorded, name: str) -> None:
    call, path, answer, expected = CALLS[name]
    with scripted(answer) as server, client(server) as app:
        call(app)
        assert server.received[0].path == path
    span = instrumented.span()
    operation, model = expected["gen_ai.operation.name"], expected.get("gen_ai.request.model")
    assert span.name == (f"{operation} {model}" if model else operation)
    assert (span.kind, span.status.status_code) == (SpanKind.CLIENT, StatusCode.UNSET)
    assert without_content(span) == expected
    assert content(span, "input.messages") is None
    assert content(span, "output.messages") is None


@every_call
async def test_an_async_call(instrumented: Recorded, name: str) -> None:
    call, _, answer, expected = CALLS[name]
    with scripted(answer) as server:
        async with async_client(server) as app:
            await call(app)
    assert without_content(instrumented.span()) == expected


@every_call
def test_a_raw_response_stays_raw_and_is_read(instrumented: Recorded, name: str) -> None:
    call, _, answer, expected = CALLS[name]

    class Raw:
        """The client with every resource replaced by its raw variant."""

        def __init__(self, resource: Any) -> None:
            self._resource = resource

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._resource, name)
            return found if callable(found) else Raw(getattr(found, "with_raw_response", found))

    with scripted(answer) as server, client(server) as app:
        raw = call(Raw(app))
        assert raw.http_response.status_code == 200
    assert without_content(instrumented.span()) == expected


@every_call
def test_the_metrics_of_a_call(instrumented: Recorded, name: str) -> None:
    call, _, answer, expected = CALLS[name]
    with scripted(answer) as server, client(server) as app:
        call(app)
    metrics = instrumented.metrics()
    (duration,) = metrics["gen_ai.client.operation.duration"]
    dimensions = {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model"}
    assert dict(duration.attributes) == {
        "server.address": "127.0.0.1",
        "server.port": attribute(instrumented.span(), "server.port"),
        **{key: value for key, value in expected.items() if key in dimensions},
    }
    tokens = {
        point.attributes["gen_ai.token.type"]: point.sum for point in metrics.get("gen_ai.client.token.usage", ())
    }
    assert tokens == {
        kind: expected[f"gen_ai.usage.{kind}_tokens"]
        for kind in ("input", "output")
        if f"gen_ai.usage.{kind}_tokens" in expected
    }


@every_call
def test_an_error_of_the_server(instrumented: Recorded, name: str) -> None:
    call, _, _, expected = CALLS[name]
    error = {"message": "your prompt: secret", "type": "image_generation_user_error", "code": "moderation_blocked"}
    with (
        scripted(Answer({"error": error}, status=400)) as server,
        client(server) as app,
        pytest.raises(openai.BadRequestError),
    ):
        call(app)
    span = instrumented.span()
    assert without_content(span) == {
        key: value for key, value in expected.items() if ".usage." not in key and ".response." not in key
    } | {"error.type": "openai.BadRequestError"}
    assert span.status.description == "BadRequestError 400 moderation_blocked"
    assert "secret" not in all_telemetry(instrumented)


@every_call
def test_unknown_and_missing_fields_of_a_response_do_no_harm(capturing: Recorded, name: str) -> None:
    call, _, _, expected = CALLS[name]
    odd = {"x": {"y": [1]}, "usage": {"type": "duration", "seconds": 9}}
    with scripted(Answer(odd)) as server, client(server) as app:
        call(app)
    assert without_content(capturing.span()) == {
        key: value for key, value in expected.items() if ".usage." not in key and ".response." not in key
    }
    assert content(capturing.span(), "output.messages") is None


ODD: list[Any] = [None, 0, -1, 1.5, True, "", "x", b"x", [], [None], ["x", 1], [[]], {}, {"x": 1}, object(), iter("x")]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
@pytest.mark.parametrize("endpoint", [images.IMAGE, audio.SPEECH, audio.TRANSCRIPT, moderations.MODERATION])
def test_odd_values_are_read_without_an_error(endpoint: Any, odd: Any) -> None:
    instance = openai.OpenAI(api_key="sk-secret").images
    for name in ("model", "prompt", "input", "n", "instructions", "stream", "temperature", "extra_body"):
        arguments = Arguments(instance, (), {name: odd})
        endpoint.prompt(arguments)
        fold = endpoint.fold(endpoint.request(arguments), True)
        for record in (
            odd,
            {"data": odd, "usage": odd, "text": odd, "id": odd, "model": odd},
            {"data": [odd], "usage": {"input_tokens": 1, "input_tokens_details": odd}},
            {"data": [{"url": odd}], "usage": {"input_tokens": odd}},
            {"type": "transcript.text.done", "text": odd, "delta": odd, "usage": odd, "b64_json": odd},
        ):
            endpoint.response(record, True)
            fold.add(record)
        fold.response()


def test_adapters_do_not_read_a_file() -> None:
    class Unreadable(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise AssertionError

    file = Unreadable(SOUND)
    arguments = Arguments(openai.OpenAI(api_key="sk-secret").images, (), {"file": file, "image": file, "mask": file})
    for endpoint in (images.IMAGE, audio.TRANSCRIPT):
        endpoint.request(arguments)
        assert endpoint.prompt(arguments).messages == ()
    assert file.tell() == 0
