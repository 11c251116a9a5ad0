"""Responses as servers send them: the application gets the client's objects, and the span has their contents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

import otel_genai
from tests.support.openai.clients import ANSWERED, BASIC, STREAMED, USER, async_client, attributes, client
from tests.support.openai.scripted_server import HELLO, Answer, chunk, completion, delta, scripted
from tests.support.openai.transport import client_of_pieces
from tests.support.providers import Recorded, attribute

CALL: dict[str, Any] = {"model": "gpt-4o", "messages": USER}
STREAMED_CALL: dict[str, Any] = {**CALL, "stream": True}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
WITHOUT_USAGE = {name: value for name, value in STREAMED.items() if "usage" not in name}
"""Attributes of a whole stream without usage."""


def read(*events: Any, **more: Any) -> list[Any]:
    """All chunks of a stream of `events`."""
    with scripted(Answer(events=events)) as server:
        return list(client(server).chat.completions.create(**STREAMED_CALL, **more))


def output(recorded: Recorded) -> Any:
    """The output messages on the one span."""
    return json.loads(attribute(recorded.span(), "gen_ai.output.messages"))


def output_message(*parts: dict[str, Any], finish_reason: str = "stop") -> dict[str, Any]:
    return {"role": "assistant", "parts": list(parts), "finish_reason": finish_reason}


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


# ── choices, tools, refusals ───────────────────────────────────────────────────────────────────────────────────────────


async def test_choices_of_an_async_stream_stay_apart_and_a_missing_one_is_an_error(capturing: Recorded) -> None:
    events = [
        chunk(delta(1, role="assistant", content="two"), delta(0, role="assistant", content="one")),
        chunk(delta(1, content="!", finish_reason="stop")),
        chunk(delta(0, content="?", finish_reason="content_filter")),
        chunk(usage=USAGE),
    ]
    with scripted(Answer(events=events)) as server:
        async with async_client(server) as asynchronous:
            async for _ in await asynchronous.chat.completions.create(**STREAMED_CALL, n=3):
                pass
    assert attribute(capturing.span(), "gen_ai.response.finish_reasons") == ("content_filter", "stop", "error")
    assert output(capturing) == [
        output_message(text("one?"), finish_reason="content_filter"),
        output_message(text("two!")),
    ]


def test_tool_calls_of_two_choices_are_streamed_interleaved_and_truncated(capturing: Recorded) -> None:
    def call(index: int, arguments: str | None, name: str | None = None, id: str | None = None) -> dict[str, Any]:  # noqa: A002
        return {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}

    chunks = read(
        chunk(delta(0, role="assistant", tool_calls=[call(0, None, "look", "call_a")])),
        chunk(delta(1, role="assistant", tool_calls=[call(0, "", "find", "call_b"), call(1, "", "stop", "call_c")])),
        chunk(delta(1, tool_calls=[call(0, '{"x": 1}')]), delta(0, tool_calls=[call(0, '{"y": ')])),
        chunk(delta(1, finish_reason="tool_calls")),
        chunk(delta(0, finish_reason="length")),
        n=2,
    )
    assert chunks[2].choices[0].delta.tool_calls[0].function.arguments == '{"x": 1}'
    assert output(capturing) == [
        output_message(
            {"type": "tool_call", "id": "call_a", "name": "look", "arguments": '{"y": '}, finish_reason="length"
        ),
        output_message(
            {"type": "tool_call", "id": "call_b", "name": "find", "arguments": {"x": 1}},
            {"type": "tool_call", "id": "call_c", "name": "stop", "arguments": ""},
            finish_reason="tool_call",
        ),
    ]


def test_tool_calls_without_an_index_are_separated_by_their_ids(capturing: Recorded) -> None:
    def call(arguments: str, **fields: Any) -> dict[str, Any]:
        return {**fields, "type": "function", "function": {"name": "look" if fields else None, "arguments": arguments}}

    read(
        chunk(delta(role="assistant", tool_calls=[call('{"at":', id="call_a")])),
        chunk(delta(tool_calls=[call(" 1}")])),
        chunk(delta(tool_calls=[call("{}", id="call_b")], finish_reason="tool_calls")),
    )
    assert output(capturing) == [
        output_message(
            {"type": "tool_call", "id": "call_a", "name": "look", "arguments": {"at": 1}},
            {"type": "tool_call", "id": "call_b", "name": "look", "arguments": {}},
            finish_reason="tool_call",
        )
    ]


def test_a_refusal_whole_and_streamed(capturing: Recorded) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I cannot."}
    whole = completion(choices=[{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}])
    with scripted(Answer(whole)) as server:
        assert client(server).chat.completions.create(**CALL).choices[0].message.refusal == "I cannot."
    read(chunk(delta(role="assistant", refusal="I can")), chunk(delta(refusal="not.", finish_reason="stop")))
    first, second = (json.loads(attribute(span, "gen_ai.output.messages")) for span in capturing.spans(2))
    assert first == second == [output_message(text("I cannot."))]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_has_either_name(capturing: Recorded, name: str) -> None:
    operations: list[Any] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    chunks = read(
        chunk(delta(role="assistant", content="")),
        chunk({"index": 0, "delta": {name: "Think"}}),
        chunk({"index": 0, "delta": {name: "ing."}}),
        chunk(delta(content="42", finish_reason="stop")),
    )
    stop()
    assert getattr(chunks[1].choices[0].delta, name) == "Think"
    assert output(capturing) == [output_message({"type": "reasoning", "content": "Thinking."}, text("42"))]
    assert operations[0].timing.first_token == operations[0].timing.chunks[1]


def test_log_probabilities_and_unknown_fields_reach_the_application_and_no_span(capturing: Recorded) -> None:
    logprobs: Any = {"content": [{"token": "Hel", "logprob": -0.5, "bytes": None, "top_logprobs": []}], "refusal": None}
    strange = {**delta(role="assistant", content="Hel", mood="good"), "logprobs": logprobs, "stop_reason": 128009}
    chunks = read(
        chunk(strange, prompt_token_ids=[1, 2]), chunk(delta(content="lo!", finish_reason="stop")), logprobs=True
    )
    assert chunks[0].choices[0].logprobs.content[0].logprob == -0.5
    assert (chunks[0].prompt_token_ids, chunks[0].choices[0].delta.mood) == ([1, 2], "good")
    found = attributes(capturing.span())
    assert json.loads(found.pop("gen_ai.output.messages")) == [output_message(text("Hello!"))]
    del found["gen_ai.input.messages"]
    assert found == WITHOUT_USAGE


# ── usage ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ([None, None, None], None),
        ([None, None, USAGE], (9, 3)),
        ([{**USAGE, "completion_tokens": 1}, {**USAGE, "completion_tokens": 2}, USAGE], (9, 3)),
        ([USAGE, None, None], (9, 3)),
        ([None, {**USAGE, "prompt_tokens": 0, "completion_tokens": 0}, None], (0, 0)),
    ],
    ids=["absent", "at the end", "on every chunk, growing", "at the beginning", "zero"],
)
def test_the_last_usage_is_reported_and_none_is_invented(
    instrumented: Recorded, usage: list[Any], counted: tuple[int, int] | None
) -> None:
    read(
        chunk(delta(role="assistant", content="Hello!"), usage=usage[0]),
        chunk(delta(finish_reason="stop"), usage=usage[1]),
        chunk(usage=usage[2]),
    )
    expected = {"gen_ai.usage.input_tokens": counted[0], "gen_ai.usage.output_tokens": counted[1]} if counted else {}
    assert attributes(instrumented.span()) == WITHOUT_USAGE | expected
    points = instrumented.metrics().get("gen_ai.client.token.usage", [])
    totals = {point.attributes["gen_ai.token.type"]: point.sum for point in points}
    assert totals == ({"input": counted[0], "output": counted[1]} if counted else {})


def test_usage_without_counts_is_no_usage(instrumented: Recorded) -> None:
    read(*HELLO[:4], chunk(usage={"prompt_tokens": None, "total_tokens": "many"}))
    assert attributes(instrumented.span()) == WITHOUT_USAGE


# ── missing fields ─────────────────────────────────────────────────────────────────────────────────────────────────────


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


FILTERED = chunk(prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}])
INCOMPLETE = [
    pytest.param([{**FILTERED, "id": "", "model": ""}, *HELLO], STREAMED, id="Azure's first, empty"),
    pytest.param([without(FILTERED, "choices", "id", "model"), *HELLO], STREAMED, id="Azure's first, without"),
    pytest.param([chunk(choices=None), *HELLO, chunk(choices=None)], STREAMED, id="choices null"),
    pytest.param([without(event, "id") for event in HELLO], without(STREAMED, "gen_ai.response.id"), id="no id"),
    pytest.param([{**event, "id": None, "model": None} for event in HELLO],
        without(STREAMED, "gen_ai.response.id", "gen_ai.response.model"), id="id and model null"),
    pytest.param([*HELLO[:3], HELLO[4]], STREAMED | {"gen_ai.response.finish_reasons": ("error",)}, id="no reason"),
    pytest.param([chunk(without(delta(content="Hello!"), "finish_reason", "index")), *HELLO[3:]], STREAMED,
        id="reason and index missing"),
    pytest.param([chunk({"index": 0, "delta": None, "finish_reason": None}), *HELLO], STREAMED, id="delta null"),
    pytest.param([chunk({"index": 0, "finish_reason": None}), *HELLO], STREAMED, id="delta missing"),
    pytest.param([], BASIC | {"gen_ai.request.stream": True, "gen_ai.response.finish_reasons": ("error",)}, id="[DONE]"),
]  # fmt: skip


@pytest.mark.parametrize(("events", "expected"), INCOMPLETE)
def test_a_stream_with_a_missing_field(instrumented: Recorded, events: list[Any], expected: dict[str, Any]) -> None:
    assert len(read(*events)) == len(events)
    assert attributes(instrumented.span()) == expected
    assert instrumented.span().status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(("events", "expected"), INCOMPLETE)
def test_a_stream_with_a_missing_field_and_content_on(
    capturing: Recorded, events: list[Any], expected: dict[str, Any]
) -> None:
    assert len(read(*events)) == len(events)
    content = {"gen_ai.input.messages", "gen_ai.output.messages"}
    assert without(attributes(capturing.span()), *content) == expected


@pytest.mark.parametrize("name", ["id", "model", "choices", "usage"])
@pytest.mark.parametrize("absence", ["missing", "null"])
def test_a_response_with_a_missing_field(capturing: Recorded, name: str, absence: str) -> None:
    body = without(completion(), name) if absence == "missing" else completion(**{name: None})
    with scripted(Answer(body)) as server:
        assert client(server).chat.completions.create(**CALL).object == "chat.completion"
    found = set(attributes(capturing.span()))
    lost = {
        "id": {"gen_ai.response.id"},
        "model": {"gen_ai.response.model"},
        "choices": {"gen_ai.response.finish_reasons", "gen_ai.output.messages"},
        "usage": {attribute for attribute in found | set(ANSWERED) if ".usage." in attribute},
    }
    assert found & lost[name] == set()
    assert set(ANSWERED) - found == lost[name] & set(ANSWERED)


@pytest.mark.parametrize("missing", ["finish_reason", "message", "index"])
def test_a_choice_with_a_missing_field(capturing: Recorded, missing: str) -> None:
    (choice,) = completion()["choices"]
    with scripted(Answer(completion(choices=[without(choice, missing)]))) as server:
        client(server).chat.completions.create(**CALL)
    reason = "error" if missing == "finish_reason" else "stop"
    assert attribute(capturing.span(), "gen_ai.response.finish_reasons") == (reason,)
    parts = [] if missing == "message" else [text("Hello!")]
    assert output(capturing) == [output_message(*parts, finish_reason=reason)]


# ── bytes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def sent(event: Any, end: str = "\n") -> str:
    data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
    return f"data: {data}{end}{end}"


PING = ": ping\n\n"
WIRES = {
    "line feeds": "".join(map(sent, [*HELLO, "[DONE]"])),
    "carriage returns": "".join(sent(event, "\r\n") for event in [*HELLO, "[DONE]"]),
    "comments": PING + PING.join(map(sent, [*HELLO, "[DONE]"])) + PING,
    "no space": "".join(map(sent, [*HELLO, "[DONE]"])).replace("data: ", "data:"),
    "other fields": "".join("id: 7\nretry: 10\n" + sent(event) for event in [*HELLO, "[DONE]"]),
    "no [DONE]": "".join(map(sent, HELLO)),
    "more after [DONE]": "".join(map(sent, [*HELLO, "[DONE]"])) + ": bye\n\n",
}


@pytest.mark.parametrize("raw", [False, True], ids=["parsed by the client", "read by the application"])
@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES.keys())
def test_events_in_every_form_that_the_protocol_has(instrumented: Recorded, wire: str, raw: bool) -> None:
    with scripted(Answer(wire.encode(), headers={"Content-Type": "text/event-stream"})) as server:
        completions = client(server).chat.completions
        if raw:
            with completions.with_streaming_response.create(**STREAMED_CALL) as response:
                assert b"".join(response.iter_bytes(5)) == wire.encode()
        else:
            assert len(list(completions.create(**STREAMED_CALL))) == 5
    assert attributes(instrumented.span()) == STREAMED


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("raw", [False, True], ids=["parsed by the client", "read by the application"])
def test_characters_split_across_packets(capturing: Recorded, size: int, raw: bool) -> None:
    events = [chunk(delta(role="assistant", content="héllo ")), chunk(delta(content="🌍 世界", finish_reason="stop"))]
    wire = "".join(map(sent, [*events, "[DONE]"])).encode()
    pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
    completions = client_of_pieces(lambda: pieces).chat.completions
    if raw:
        with completions.with_streaming_response.create(**STREAMED_CALL) as response:
            assert "".join(response.iter_text()) == wire.decode()
    else:
        texts = [chunk.choices[0].delta.content for chunk in completions.create(**STREAMED_CALL)]
        assert texts == ["héllo ", "🌍 世界"]
    assert output(capturing) == [output_message(text("héllo 🌍 世界"))]
