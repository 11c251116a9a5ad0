"""Helpers of the client that make calls of its own: one operation and one span for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.trace import StatusCode
from pydantic import BaseModel

from tests.support.openai.clients import (
    BASIC,
    BROKEN,
    COMPLETED,
    STREAMED,
    USER,
    async_client,
    attributes,
    client,
    error_type,
)
from tests.support.openai.endings import stalling_server
from tests.support.openai.expected_content import answered, content, without_content
from tests.support.openai.scripted_server import CUT, Answer, chunk, completion, delta, scripted
from tests.support.providers import attribute

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.providers import Recorded


class Greeting(BaseModel):
    word: str


JSON_TEXT = '{"word": "Hello"}'
CALL: dict[str, Any] = {"model": "gpt-4o", "messages": USER}
PARSEABLE = completion(
    choices=[
        {"index": 0, "message": {"role": "assistant", "content": JSON_TEXT}, "finish_reason": "stop", "logprobs": None}
    ]
)
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
CHUNKS = [
    chunk(delta(role="assistant", content="")),
    chunk(delta(content='{"word": ')),
    chunk(delta(content='"Hello"}')),
    chunk(delta(finish_reason="stop")),
    chunk(usage=USAGE),
]
AS_JSON = {"gen_ai.output.type": "json"}
LEFT_EARLY = {name: value for name, value in STREAMED.items() if "usage" not in name} | {
    "gen_ai.response.finish_reasons": ("error",)
}
"""Attributes of a stream that was left before a finish reason."""


# ── places of the helpers ──────────────────────────────────────────────────────────────────────────────────────────────


def plain(application: Any) -> Any:
    """The helpers' place since they left the beta."""
    return application.chat.completions


def beta(application: Any) -> Any:
    """The helpers' first place, which still exists."""
    return application.beta.chat.completions


def raw(application: Any) -> Any:
    """The helpers that return raw responses."""
    return application.chat.completions.with_raw_response


def exists(surface: Callable[[Any], Any]) -> bool:
    """Whether this version of the client has the helpers in that place."""
    try:
        return hasattr(surface(openai.OpenAI(api_key="sk-secret")), "parse")
    except AttributeError:
        return False


SURFACES = [surface for surface in (plain, beta) if exists(surface)]
surfaces = pytest.mark.parametrize("surface", SURFACES)


# ── parse ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@surfaces
def test_parse_is_one_span(capturing: Recorded, surface: Any) -> None:
    with scripted(Answer(PARSEABLE)) as server:
        answer = surface(client(server)).parse(**CALL, response_format=Greeting)
        assert server.received[0].body["response_format"]["type"] == "json_schema"
        assert len(server.received) == 1
    assert answer.choices[0].message.parsed == Greeting(word="Hello")
    span = capturing.span()
    assert span.name == "chat gpt-4o"
    assert without_content(span) == COMPLETED | AS_JSON
    assert content(span, "output.messages") == answered(JSON_TEXT, finish_reason="stop")
    assert [event.log_record.event_name for event in capturing.events()] == [
        "gen_ai.client.inference.operation.details"
    ]
    (duration,) = capturing.metrics()["gen_ai.client.operation.duration"]
    assert duration.count == 1


@surfaces
async def test_an_async_parse_is_one_span(instrumented: Recorded, surface: Any) -> None:
    with scripted(Answer(PARSEABLE)) as server:
        async with async_client(server) as asynchronous:
            answer = await surface(asynchronous).parse(**CALL, response_format=Greeting)
    assert answer.choices[0].message.parsed == Greeting(word="Hello")
    assert attributes(instrumented.span()) == COMPLETED | AS_JSON


@surfaces
def test_parse_of_an_answer_that_does_not_fit_is_an_error(instrumented: Recorded, surface: Any) -> None:
    with scripted(Answer(completion())) as server, pytest.raises(ValueError, match="Hello!"):
        surface(client(server)).parse(**CALL, response_format=Greeting)
    span = instrumented.span()
    assert span.status.status_code is StatusCode.ERROR
    assert attribute(span, "error.type").endswith("ValidationError")
    assert "Hello!" not in span.to_json()


@surfaces
def test_parse_of_an_answer_that_was_cut_short_by_its_length_is_an_error(instrumented: Recorded, surface: Any) -> None:
    cut = completion(choices=[{**PARSEABLE["choices"][0], "finish_reason": "length"}])
    with scripted(Answer(cut)) as server, pytest.raises(openai.LengthFinishReasonError):
        surface(client(server)).parse(**CALL, response_format=Greeting)
    assert attribute(instrumented.span(), "error.type") == "openai.LengthFinishReasonError"


def test_parse_of_an_error_of_the_server(instrumented: Recorded) -> None:
    with scripted(Answer({"error": {"code": "no_luck"}}, status=404)) as server, pytest.raises(openai.NotFoundError):
        SURFACES[0](client(server)).parse(**CALL, response_format=Greeting)
    assert attributes(instrumented.span()) == BASIC | AS_JSON | {"error.type": "openai.NotFoundError"}


raw_parse = pytest.mark.skipif(not exists(raw), reason="this version of the client has no raw parse")


@raw_parse
def test_a_raw_parse_stays_raw_and_is_one_span(capturing: Recorded) -> None:
    with scripted(Answer(PARSEABLE)) as server:
        answer = raw(client(server)).parse(**CALL, response_format=Greeting)
        assert answer.http_response.status_code == 200
    assert answer.parse().choices[0].message.parsed == Greeting(word="Hello")
    span = capturing.span()
    assert without_content(span) == COMPLETED | AS_JSON
    assert content(span, "output.messages") == answered(JSON_TEXT, finish_reason="stop")


@raw_parse
async def test_an_async_raw_parse_stays_raw_and_is_one_span(instrumented: Recorded) -> None:
    with scripted(Answer(PARSEABLE)) as server:
        async with async_client(server) as asynchronous:
            answer = await raw(asynchronous).parse(**CALL, response_format=Greeting)
    assert answer.parse().choices[0].message.parsed == Greeting(word="Hello")
    assert attributes(instrumented.span()) == COMPLETED | AS_JSON


@raw_parse
def test_a_streamed_raw_parse_is_one_span(instrumented: Recorded) -> None:
    with (
        scripted(Answer(PARSEABLE)) as server,
        client(server).chat.completions.with_streaming_response.parse(**CALL, response_format=Greeting) as response,
    ):
        assert instrumented.spans(0) == []
        assert response.parse().choices[0].message.parsed == Greeting(word="Hello")
    assert attributes(instrumented.span()) == COMPLETED | AS_JSON


# ── stream ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@surfaces
def test_the_stream_helper_that_is_read_to_its_end_is_one_span(capturing: Recorded, surface: Any) -> None:
    with (
        scripted(Answer(events=CHUNKS)) as server,
        surface(client(server)).stream(**CALL, response_format=Greeting) as stream,
    ):
        kinds = [event.type for event in stream]
        assert stream.get_final_completion().choices[0].message.parsed == Greeting(word="Hello")
        span = capturing.span()
    assert kinds.count("chunk") == len(CHUNKS)
    assert "content.done" in kinds
    assert without_content(span) == STREAMED | AS_JSON
    assert content(span, "output.messages") == answered(JSON_TEXT, finish_reason="stop")
    assert len(capturing.spans(1)) == 1, "leaving `with` adds none"
    assert capturing.metrics()["gen_ai.client.operation.time_per_output_chunk"][0].count == len(CHUNKS) - 1


@surfaces
def test_the_final_completion_alone_reads_the_stream_to_its_end(instrumented: Recorded, surface: Any) -> None:
    with scripted(Answer(events=CHUNKS)) as server, surface(client(server)).stream(**CALL) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == JSON_TEXT
    assert final.usage.completion_tokens == 3
    assert attributes(instrumented.span()) == STREAMED


@surfaces
async def test_an_async_stream_helper_is_one_span(instrumented: Recorded, surface: Any) -> None:
    with scripted(Answer(events=CHUNKS)) as server:
        async with (
            async_client(server) as asynchronous,
            surface(asynchronous).stream(**CALL, response_format=Greeting) as stream,
        ):
            assert "content.done" in [event.type async for event in stream]
            final = await stream.get_final_completion()
    assert final.choices[0].message.parsed == Greeting(word="Hello")
    assert attributes(instrumented.span()) == STREAMED | AS_JSON


@surfaces
def test_leaving_the_stream_helper_ends_the_span_at_once(capturing: Recorded, surface: Any) -> None:
    with stalling_server(CHUNKS[:2]) as server:
        with surface(client(server)).stream(**CALL) as stream:
            for event in stream:
                if event.type == "content.delta" and event.delta:
                    break
            assert capturing.spans(0) == []
        span = capturing.spans(1)[0]
        assert stream.current_completion_snapshot.choices[0].message.content == '{"word": '
    assert without_content(span) == LEFT_EARLY
    assert span.status.status_code is StatusCode.UNSET
    assert content(span, "output.messages") == answered('{"word": ', finish_reason="error")


@surfaces
async def test_leaving_an_async_stream_helper_ends_the_span_at_once(instrumented: Recorded, surface: Any) -> None:
    with stalling_server(CHUNKS[:2]) as server:
        async with async_client(server) as asynchronous:
            async with surface(asynchronous).stream(**CALL) as stream:
                async for event in stream:
                    if event.type == "content.delta" and event.delta:
                        break
            span = instrumented.spans(1)[0]
            assert stream.current_completion_snapshot.choices[0].message.content == '{"word": '
    assert attributes(span) == LEFT_EARLY
    assert span.status.status_code is StatusCode.UNSET


@surfaces
def test_closing_the_stream_helper_ends_the_span_at_once(instrumented: Recorded, surface: Any) -> None:
    with stalling_server(CHUNKS[:2]) as server, surface(client(server)).stream(**CALL) as stream:
        next(stream)
        stream.close()
        assert attributes(instrumented.span()) == LEFT_EARLY


@surfaces
def test_an_event_handler_that_raises_is_no_error_of_the_call(instrumented: Recorded, surface: Any) -> None:
    def handle(event: Any) -> None:
        if event.type == "content.delta":
            raise ZeroDivisionError

    with stalling_server(CHUNKS[:2]) as server:
        with pytest.raises(ZeroDivisionError), surface(client(server)).stream(**CALL) as stream:
            for event in stream:
                handle(event)
        span = instrumented.span()
    assert attributes(span) == LEFT_EARLY
    assert span.status.status_code is StatusCode.UNSET


@surfaces
def test_a_stream_helper_whose_connection_breaks_is_an_error(instrumented: Recorded, surface: Any) -> None:
    with (
        scripted(Answer(events=[*CHUNKS[:2], CUT])) as server,
        pytest.raises(BROKEN),
        surface(client(server)).stream(**CALL) as stream,
    ):
        stream.until_done()
    span = instrumented.span()
    assert attributes(span) == LEFT_EARLY | {"error.type": error_type(BROKEN)}
    assert span.status.status_code is StatusCode.ERROR


@surfaces
def test_a_stream_helper_that_is_refused_is_an_error(instrumented: Recorded, surface: Any) -> None:
    with (
        scripted(Answer({"error": {"code": "no_luck"}}, status=404)) as server,
        pytest.raises(openai.NotFoundError),
        surface(client(server)).stream(**CALL),
    ):
        pass
    assert attributes(instrumented.span()) == BASIC | {
        "gen_ai.request.stream": True,
        "error.type": "openai.NotFoundError",
    }


@surfaces
def test_a_stream_helper_that_is_never_entered_sends_no_request(instrumented: Recorded, surface: Any) -> None:
    with scripted(Answer(events=CHUNKS)) as server:
        surface(client(server)).stream(**CALL)
        assert server.received == []
    assert instrumented.spans(0) == []
