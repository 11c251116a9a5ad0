"""Completions of a bare text with the real client over loopback: what the application gets and what is reported."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from opentelemetry.trace import SpanKind, StatusCode

import otel_genai
from otel_genai.endpoint.arguments import Arguments
from otel_genai.instrumentors.openai import completions
from tests.support.openai.clients import BROKEN, NOT_GIVEN, async_client, attributes, client
from tests.support.openai.expected_content import answered, content, said, without_content
from tests.support.openai.scripted_server import CUT, Answer, scripted
from tests.support.providers import Recorded, attribute

MODEL = "gpt-3.5-turbo-instruct"


def choice(text: str, index: int = 0, finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": finish_reason, "logprobs": None, **fields}


def completion(*choices: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A completion, or a chunk of one, as OpenAI sends it: the two have one shape."""
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "gpt-3.5-turbo-instruct:20230824-v2",
        "system_fingerprint": "fp_1",
        "choices": list(choices),
        **changes,
    }


USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
WHOLE = completion(choice(" world", finish_reason="stop"), usage=USAGE)
BASIC = {
    "gen_ai.operation.name": "text_completion",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": MODEL,
    "server.address": "127.0.0.1",
}
ANSWERED = BASIC | {
    "gen_ai.response.id": "cmpl-1",
    "gen_ai.response.model": "gpt-3.5-turbo-instruct:20230824-v2",
    "openai.response.system_fingerprint": "fp_1",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 5,
    "gen_ai.usage.output_tokens": 7,
}


# ── whole calls ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call(instrumented: Recorded) -> None:
    with scripted(Answer(WHOLE)) as server, client(server) as app:
        answer = app.completions.create(model=MODEL, prompt="Hello")
        assert server.received[0].path == "/v1/completions"
    assert type(answer) is openai.types.Completion
    assert answer.choices[0].text == " world"
    span = instrumented.span()
    assert (span.name, span.kind, span.status.status_code) == (
        f"text_completion {MODEL}",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert attributes(span) == ANSWERED


async def test_an_async_call(instrumented: Recorded) -> None:
    with scripted(Answer(WHOLE)) as server:
        async with async_client(server) as app:
            await app.completions.create(model=MODEL, prompt="Hello")
    assert attributes(instrumented.span()) == ANSWERED


def test_the_metrics_of_a_call(instrumented: Recorded) -> None:
    with scripted(Answer(WHOLE)) as server, client(server) as app:
        app.completions.create(model=MODEL, prompt="Hello")
    metrics = instrumented.metrics()
    assert metrics.keys() == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    tokens = {point.attributes["gen_ai.token.type"]: point for point in metrics["gen_ai.client.token.usage"]}
    assert (tokens["input"].sum, tokens["output"].sum) == (5, 7)
    assert dict(tokens["output"].attributes) == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.model": "gpt-3.5-turbo-instruct:20230824-v2",
        "gen_ai.token.type": "output",
        "openai.response.system_fingerprint": "fp_1",
        "server.address": "127.0.0.1",
        "server.port": attribute(instrumented.span(), "server.port"),
    }


def test_every_parameter(instrumented: Recorded) -> None:
    with scripted(Answer(WHOLE)) as server, client(server) as app:
        app.completions.create(
            model=MODEL,
            prompt="Hello",
            best_of=3,
            echo=True,
            frequency_penalty=0.25,
            logprobs=2,
            max_tokens=100,
            n=2,
            presence_penalty=-1,
            seed=42,
            stop="END",
            suffix="!",
            temperature=0,
            top_p=0.5,
            user="me",
            extra_body={"top_k": 40, "max_tokens": 50},
        )
        assert server.received[0].body["max_tokens"] == 50
    asked = {name: value for name, value in attributes(instrumented.span()).items() if ".request." in name}
    assert asked == {
        "gen_ai.request.model": MODEL,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.frequency_penalty": 0.25,
        "gen_ai.request.presence_penalty": -1.0,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.seed": 42,
    }


def test_sentinels_of_the_client_are_no_parameters(instrumented: Recorded) -> None:
    with scripted(Answer(WHOLE)) as server, client(server) as app:
        app.completions.create(
            model=MODEL, prompt="Hello", n=NOT_GIVEN, stop=NOT_GIVEN, temperature=NOT_GIVEN, stream=NOT_GIVEN
        )
    assert {name for name in attributes(instrumented.span()) if ".request." in name} == {"gen_ai.request.model"}


def test_what_a_server_adds_or_leaves_out_does_no_harm(instrumented: Recorded) -> None:
    sparse = {
        "id": "cmpl-2",
        "object": "text_completion",
        "choices": [{"text": "x", "stop_reason": 7, "prompt_logprobs": [None]}],
        "kv_transfer_params": None,
    }
    with scripted(Answer(sparse)) as server, client(server) as app:
        app.completions.create(model=MODEL, prompt="Hello")
    assert attributes(instrumented.span()) == BASIC | {
        "gen_ai.response.id": "cmpl-2",
        "gen_ai.response.finish_reasons": ("error",),
    }


def test_an_error_of_the_server(instrumented: Recorded) -> None:
    error = {"message": "secret", "type": "invalid_request_error", "code": "model_not_found"}
    with (
        scripted(Answer({"error": error}, status=404)) as server,
        client(server) as app,
        pytest.raises(openai.NotFoundError),
    ):
        app.completions.create(model=MODEL, prompt="Hello")
    span = instrumented.span()
    assert attributes(span) == BASIC | {"error.type": "openai.NotFoundError"}
    assert span.status.description == "NotFoundError 404 model_not_found"


# ── streams ────────────────────────────────────────────────────────────────────────────────────────────────────────────

CHUNKS = [
    completion(choice("")),
    completion(choice(" wor")),
    completion(choice("ld")),
    completion(choice("", finish_reason="stop")),
    completion(usage=USAGE),
]


def test_a_stream(capturing: Recorded) -> None:
    operations: list[Any] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    with scripted(Answer(events=CHUNKS)) as server, client(server) as app:
        stream = app.completions.create(model=MODEL, prompt="Hello", stream=True)
        assert isinstance(stream, openai.Stream)
        text = "".join(chunk.choices[0].text for chunk in stream if chunk.choices)
    stop()
    assert text == " world"
    span = capturing.span()
    assert content(span, "output.messages") == answered(" world", finish_reason="stop")
    assert without_content(span) == ANSWERED | {"gen_ai.request.stream": True}
    assert operations[0].timing.first_token == operations[0].timing.chunks[1]


async def test_an_async_stream(instrumented: Recorded) -> None:
    with scripted(Answer(events=CHUNKS)) as server:
        async with async_client(server) as app:
            stream = await app.completions.create(model=MODEL, prompt="Hello", stream=True)
            assert isinstance(stream, openai.AsyncStream)
            assert [chunk.id async for chunk in stream] == ["cmpl-1"] * 5
    assert attributes(instrumented.span()) == ANSWERED | {"gen_ai.request.stream": True}


def test_n_choices_for_each_prompt_are_due(capturing: Recorded) -> None:
    events = [
        completion(choice("b1", 3)),
        completion(choice("a0", 0)),
        completion(choice("b0", 2, finish_reason="length")),
        completion(choice("!", 3, finish_reason="stop")),
    ]
    with scripted(Answer(events=events)) as server, client(server) as app:
        list(app.completions.create(model=MODEL, prompt=["a", "b"], n=2, stream=True))
    span = capturing.span()
    assert attribute(span, "gen_ai.request.choice.count") == 2
    assert attribute(span, "gen_ai.response.finish_reasons") == ("error", "error", "length", "stop")
    assert content(span, "input.messages") == [said("user", "a"), said("user", "b")]
    assert content(span, "output.messages") == [
        said("assistant", "a0", finish_reason="error"),
        said("assistant", "b0", finish_reason="length"),
        said("assistant", "b1!", finish_reason="stop"),
    ]


def test_break_ends_the_span_without_an_error(instrumented: Recorded) -> None:
    with scripted(Answer(events=CHUNKS)) as server, client(server) as app:
        stream = app.completions.create(model=MODEL, prompt="Hello", stream=True)
        for _ in stream:
            break
        stream.close()
    span = instrumented.span()
    assert span.status.status_code is StatusCode.UNSET
    assert attribute(span, "gen_ai.response.finish_reasons") == ("error",)
    assert not any("usage" in name for name in attributes(span))


def test_a_connection_that_breaks_in_mid_stream_is_an_error(capturing: Recorded) -> None:
    with scripted(Answer(events=[*CHUNKS[:2], CUT])) as server, client(server) as app:
        stream = app.completions.create(model=MODEL, prompt="Hello", stream=True)
        with pytest.raises(BROKEN) as caught:
            list(stream)
    span = capturing.span()
    assert span.status.status_code is StatusCode.ERROR
    assert attribute(span, "error.type").rpartition(".")[2] == type(caught.value).__name__
    assert content(span, "output.messages") == answered(" wor", finish_reason="error")


def test_a_stream_that_the_application_decodes_by_itself_is_read_along(capturing: Recorded) -> None:
    with (
        scripted(Answer(events=CHUNKS)) as server,
        client(server) as app,
        app.completions.with_streaming_response.create(model=MODEL, prompt="Hello", stream=True) as response,
    ):
        assert sum(line.startswith("data: {") for line in response.iter_lines()) == len(CHUNKS)
    span = capturing.span()
    assert attribute(span, "gen_ai.usage.output_tokens") == 7
    assert content(span, "output.messages") == answered(" world", finish_reason="stop")


# ── content ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_choice_is_a_message(capturing: Recorded) -> None:
    two = completion(choice("one", finish_reason="stop"), choice("", 1, finish_reason="content_filter"))
    with scripted(Answer(two)) as server, client(server) as app:
        app.completions.create(model=MODEL, prompt="Hello", n=2)
    span = capturing.span()
    assert content(span, "input.messages") == [said("user", "Hello")]
    assert content(span, "output.messages") == [
        said("assistant", "one", finish_reason="stop"),
        {"role": "assistant", "parts": [], "finish_reason": "content_filter"},
    ]
    assert attribute(span, "gen_ai.response.finish_reasons") == ("stop", "content_filter")


def test_content_is_off_unless_asked_for(instrumented: Recorded) -> None:
    with scripted(Answer(WHOLE)) as server, client(server) as app:
        app.completions.create(model=MODEL, prompt="my secret")
    assert "secret" not in instrumented.span().to_json()


@pytest.mark.parametrize(("prompt", "due"), [([15496, 995], 1), ([[15496], [995]], 2)])
def test_token_ids_are_counted_as_prompts_and_not_recorded(capturing: Recorded, prompt: Any, due: int) -> None:
    with scripted(Answer(events=[])) as server, client(server) as app:
        list(app.completions.create(model=MODEL, prompt=prompt, stream=True))
        assert server.received[0].body["prompt"] == prompt
    span = capturing.span()
    assert "gen_ai.input.messages" not in (span.attributes or {})
    assert attribute(span, "gen_ai.response.finish_reasons") == ("error",) * due


def test_prompts_from_a_generator_reach_the_server(capturing: Recorded) -> None:
    prompts: Any = (prompt for prompt in ("a", "b"))
    with scripted(Answer(WHOLE)) as server, client(server) as app:
        app.completions.create(model=MODEL, prompt=prompts)
        assert server.received[0].body["prompt"] == ["a", "b"]
    assert "gen_ai.input.messages" not in (capturing.span().attributes or {})


# ── odd input ──────────────────────────────────────────────────────────────────────────────────────────────────────────

ODD: list[Any] = [None, 0, -1, 1.5, True, "", "x", b"x", [], [None], ["x", 1], [[]], {}, {"x": 1}, object(), iter("x")]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_odd_values_are_read_without_an_error(odd: Any) -> None:
    instance = openai.OpenAI(api_key="sk-secret").completions
    names = ("model", "prompt", "n", "stop", "seed", "max_tokens", "temperature", "stream", "extra_body", "top_k")
    for values in ({name: odd} for name in names):
        arguments = Arguments(instance, (), values)
        request = completions.COMPLETION.request(arguments)
        completions.COMPLETION.prompt(arguments)
        fold = completions.COMPLETION.fold(request, True)
        for record in (
            odd,
            {"choices": odd},
            {"choices": [odd]},
            {"choices": [{"index": odd, "text": odd, "finish_reason": odd}], "usage": odd, "id": odd, "model": odd},
        ):
            completions.COMPLETION.response(record, True)
            fold.add(record)
        fold.response()
