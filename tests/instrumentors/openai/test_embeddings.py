"""Embeddings with the real client over loopback: the vectors that the application gets, and what is reported of them."""

from __future__ import annotations

import base64
import struct
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.trace import SpanKind, StatusCode

import otel_genai
from otel_genai.endpoint.arguments import Arguments
from otel_genai.instrumentors.openai import embeddings
from tests.support.openai.clients import NOT_GIVEN, async_client, attributes, client
from tests.support.openai.scripted_server import Answer, scripted
from tests.support.providers import Recorded, attribute

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "text-embedding-3-small"
# Older clients decode by numpy, and ask for base64 only where there is one.
DECODES = find_spec("numpy") is not None or hasattr(openai, "omit")
VECTORS = [[0.5, -0.25, 1.0, 0.125, 2.0], [1.0, 2.0, 3.0, 4.0, 5.0]]


def encoded(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def answer(*vectors: Any, **changes: Any) -> Answer:
    """Embeddings as OpenAI sends them."""
    return Answer(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)
            ],
            "model": "text-embedding-3-small-1",
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
            **changes,
        }
    )


BASIC = {
    "gen_ai.operation.name": "embeddings",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": MODEL,
    "server.address": "127.0.0.1",
}
ANSWERED = BASIC | {
    "gen_ai.response.model": "text-embedding-3-small-1",
    "gen_ai.embeddings.dimension.count": 5,
    "gen_ai.usage.input_tokens": 8,
}


def test_a_call(instrumented: Recorded) -> None:
    with scripted(answer(*VECTORS)) as server, client(server) as app:
        result = app.embeddings.create(model=MODEL, input=["a", "b"])
        assert server.received[0].path == "/v1/embeddings"
    assert type(result) is openai.types.CreateEmbeddingResponse
    assert [item.embedding for item in result.data] == VECTORS
    span = instrumented.span()
    assert (span.name, span.kind, span.status.status_code) == (
        f"embeddings {MODEL}",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert attributes(span) == ANSWERED


async def test_an_async_call(instrumented: Recorded) -> None:
    with scripted(answer(*VECTORS)) as server:
        async with async_client(server) as app:
            result = await app.embeddings.create(model=MODEL, input=["a", "b"])
    assert [item.embedding for item in result.data] == VECTORS
    assert attributes(instrumented.span()) == ANSWERED


def test_the_metrics_of_a_call(instrumented: Recorded) -> None:
    with scripted(answer(*VECTORS)) as server, client(server) as app:
        app.embeddings.create(model=MODEL, input="a")
    metrics = instrumented.metrics()
    assert metrics.keys() == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    (tokens,) = metrics["gen_ai.client.token.usage"]
    dimensions = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.model": "text-embedding-3-small-1",
        "server.address": "127.0.0.1",
        "server.port": attribute(instrumented.span(), "server.port"),
    }
    assert (tokens.sum, dict(tokens.attributes)) == (8, dimensions | {"gen_ai.token.type": "input"})
    (duration,) = metrics["gen_ai.client.operation.duration"]
    assert dict(duration.attributes) == dimensions


def test_what_was_asked_for(instrumented: Recorded) -> None:
    with scripted(answer(*VECTORS)) as server, client(server) as app:
        app.embeddings.create(model=MODEL, input="a", encoding_format="float", dimensions=5)
        assert server.received[0].body["encoding_format"] == "float"
    assert attributes(instrumented.span()) == ANSWERED | {"gen_ai.request.encoding_formats": ("float",)}


def test_a_failed_call_tells_the_dimensions_that_were_asked_for(instrumented: Recorded) -> None:
    failing = Answer({"error": {"message": "secret", "type": "invalid_request_error"}}, status=400)
    with scripted(failing) as server, client(server) as app, pytest.raises(openai.BadRequestError):
        app.embeddings.create(model=MODEL, input="a", dimensions=7)
    span = instrumented.span()
    assert attributes(span) == BASIC | {
        "gen_ai.embeddings.dimension.count": 7,
        "error.type": "openai.BadRequestError",
    }
    assert span.status.description == "BadRequestError 400 invalid_request_error"


def test_sentinels_of_the_client_are_no_parameters(instrumented: Recorded) -> None:
    with scripted(answer(*VECTORS)) as server, client(server) as app:
        app.embeddings.create(model=MODEL, input="a", encoding_format=NOT_GIVEN, dimensions=NOT_GIVEN)
    assert attributes(instrumented.span()) == ANSWERED


# ── base64 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoding_format", [None, "base64", "float"])
@pytest.mark.parametrize("in_base64", [True, False])
def test_vectors_reach_the_application_as_without_us(
    recorded: Recorded, instrumented: Recorded, encoding_format: Any, in_base64: bool
) -> None:
    if in_base64 and encoding_format is None and not DECODES:
        pytest.skip("this client would not have asked for base64")
    options: dict[str, Any] = {} if encoding_format is None else {"encoding_format": encoding_format}
    sent = [encoded(vector) for vector in VECTORS] if in_base64 else VECTORS

    def call() -> tuple[Any, Any]:
        with scripted(answer(*sent)) as server, client(server) as app:
            result = app.embeddings.create(model=MODEL, input=["a", "b"], **options)
            return [item.embedding for item in result.data], server.received[0].body

    ours = call()
    otel_genai.uninstrument()
    assert ours == call()
    # The client's own wish for base64 is not the caller's.
    told = {} if encoding_format is None else {"gen_ai.request.encoding_formats": (encoding_format,)}
    assert attributes(recorded.span()) == ANSWERED | told


@pytest.mark.parametrize("count", [1, 2, 3, 4, 1536, 3072])
def test_dimensions_are_told_by_the_length_of_base64(instrumented: Recorded, count: int) -> None:
    with scripted(answer(encoded([0.5] * count))) as server, client(server) as app:
        result = app.embeddings.create(model=MODEL, input="a", encoding_format="base64")
    data: Any = result.data[0].embedding
    assert data == encoded([0.5] * count)
    assert attribute(instrumented.span(), "gen_ai.embeddings.dimension.count") == count


def test_a_raw_response_stays_raw_and_is_read(instrumented: Recorded) -> None:
    with scripted(answer(*map(encoded, VECTORS))) as server, client(server) as app:
        raw = app.embeddings.with_raw_response.create(model=MODEL, input=["a", "b"], encoding_format="base64")
        parsed: Any = raw.parse()
        assert [item.embedding for item in parsed.data] == [encoded(vector) for vector in VECTORS]
    assert attributes(instrumented.span()) == ANSWERED | {"gen_ai.request.encoding_formats": ("base64",)}


# ── content, errors, odd input ─────────────────────────────────────────────────────────────────────────────────────────


def test_no_text_is_recorded_in_any_mode(capturing: Recorded) -> None:
    with scripted(answer(*VECTORS)) as server, client(server) as app:
        app.embeddings.create(model=MODEL, input=["my secret"], user="me")
    assert attributes(capturing.span()) == ANSWERED
    assert capturing.events() == []


def test_what_a_server_adds_or_leaves_out_does_no_harm(instrumented: Recorded) -> None:
    sparse = {
        "id": "embd-1",
        "data": [{"embedding": [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]], "note": 1}],
        "usage": {"prompt_tokens": 8, "completion_tokens": 0},
        "x": {},
    }
    with scripted(Answer(sparse)) as server, client(server) as app:
        app.embeddings.create(model=MODEL, input="a", encoding_format="float")
    assert attributes(instrumented.span()) == BASIC | {
        "gen_ai.request.encoding_formats": ("float",),
        "gen_ai.usage.input_tokens": 8,
    }


def test_tokens_are_not_invented(instrumented: Recorded) -> None:
    with scripted(answer(*VECTORS, usage=None)) as server, client(server) as app:
        app.embeddings.create(model=MODEL, input="a")
    assert attributes(instrumented.span()) == {
        name: value for name, value in ANSWERED.items() if name != "gen_ai.usage.input_tokens"
    }
    assert instrumented.metrics().keys() == {"gen_ai.client.operation.duration"}


def test_token_ids_from_a_generator_reach_the_server(instrumented: Recorded) -> None:
    ids: Any = (number for number in (1, 2, 3))
    with scripted(answer(*VECTORS)) as server, client(server) as app:
        app.embeddings.create(model=MODEL, input=ids)
        assert server.received[0].body["input"] == [1, 2, 3]
    assert attributes(instrumented.span()) == ANSWERED


class Vector(list[float]):
    """A vector that nobody walks through."""

    def __iter__(self) -> Iterator[float]:
        raise AssertionError


def test_vectors_are_not_walked_through() -> None:
    result = {"data": [{"embedding": Vector([0.5] * 9)}]}
    assert embeddings.EMBEDDING.response(result, True).dimensions == 9


ODD: list[Any] = [None, 0, -1, 1.5, True, "", "x", "====", b"x", [], [None], ["x"], [[]], {}, {"x": 1}, object()]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_odd_values_are_read_without_an_error(odd: Any) -> None:
    instance = openai.OpenAI(api_key="sk-secret").embeddings
    for name in ("model", "input", "encoding_format", "dimensions", "extra_body"):
        arguments = Arguments(instance, (), {name: odd})
        request = embeddings.EMBEDDING.request(arguments)
        assert embeddings.EMBEDDING.prompt(arguments).messages == ()
        fold = embeddings.EMBEDDING.fold(request, True)
        assert not fold.add(odd)
        assert fold.response() == embeddings.EMBEDDING.response(None, True)
    for record in (odd, {"data": odd}, {"data": [odd]}, {"data": [{"embedding": odd}], "usage": odd, "model": odd}):
        embeddings.EMBEDDING.response(record, True)
