"""Arguments of applications: all reach the server as without instrumentation, and none is changed."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.trace import StatusCode

import otel_genai
from tests.support.openai.clients import BASIC, COMPLETED, STREAMED, USER, async_client, attributes, client
from tests.support.openai.scripted_server import HELLO, Answer, completion, scripted
from tests.support.providers import Recorded, attribute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.openai.scripted_server import ScriptedServer

CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"closely": true}'}}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server with one answer."""
    with scripted(Answer(completion())) as server:
        yield server


def received_request(server: ScriptedServer, messages: Any = USER, **more: Any) -> Any:
    """Make a call and return the request that the server received."""
    client(server).chat.completions.create(model="gpt-4o", messages=messages, **more)
    return server.received[-1].body


def prompt(recorded: Recorded) -> Any:
    """The prompt on the one span."""
    return json.loads(attribute(recorded.span(), "gen_ai.input.messages"))


# ── messages ───────────────────────────────────────────────────────────────────────────────────────────────────────────

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}]
SYSTEM_AND_USER = [
    {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
    {"role": "user", "parts": [{"type": "text", "content": "Say hello."}]},
]


async def test_messages_from_a_generator_reach_the_server_complete(capturing: Recorded, server: ScriptedServer) -> None:
    assert received_request(server, (turn for turn in MESSAGES))["messages"] == MESSAGES
    async with async_client(server) as asynchronous:
        await asynchronous.chat.completions.create(model="gpt-4o", messages=iter(MESSAGES))  # type: ignore[arg-type]
    assert server.received[-1].body["messages"] == MESSAGES
    assert ["gen_ai.input.messages" in attributes(span) for span in capturing.spans(2)] == [False, False]


def test_messages_in_a_tuple(capturing: Recorded, server: ScriptedServer) -> None:
    turns = tuple(MESSAGES)
    assert received_request(server, turns)["messages"] == MESSAGES
    assert turns == tuple(MESSAGES)
    assert prompt(capturing) == SYSTEM_AND_USER


def test_generators_within_messages_and_tools_from_one_are_left_to_the_client(
    capturing: Recorded, server: ScriptedServer
) -> None:
    parts = [{"type": "text", "text": "Say hello."}]
    tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    turns = [
        {"role": "user", "content": (part for part in parts)},
        {"role": "assistant", "content": None, "tool_calls": (call for call in [CALL])},
        {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
    ]
    sent = received_request(server, turns, tools=(tool for tool in tools))
    assert sent["messages"] == [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
    ]
    assert sent["tools"] == tools
    assert prompt(capturing) == [
        {"role": "user", "parts": []},
        {"role": "assistant", "parts": []},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "a cat"}]},
    ]


def test_a_response_message_in_the_next_request(capturing: Recorded, server: ScriptedServer) -> None:
    message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [CALL]}
    server.answers.insert(
        0, Answer(completion(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}]))
    )
    completions = client(server).chat.completions
    answer = completions.create(model="gpt-4o", messages=USER).choices[0].message
    before = answer.to_dict()
    completions.create(model="gpt-4o", messages=[*USER, answer])  # type: ignore[list-item]
    assert server.received[-1].body["messages"][1]["tool_calls"] == [CALL]
    assert answer.to_dict() == before
    assert json.loads(attribute(capturing.spans(2)[1], "gen_ai.input.messages"))[1] == {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "call_1", "name": "look", "arguments": {"closely": True}}],
    }


PARTS = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "https://example.org/cat.png", "detail": "low"}},
    {"type": "image_url", "image_url": {"url": "data:image/webp;base64,UklGRg=="}},
    {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
    {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
    {"type": "file", "file": {"file_id": "file-1"}},
    {"type": "from the future", "from the future": {"any": "thing"}},
    {"type": "image_url"},
    {},
]
"""The last three are invalid; the server refuses them."""


@pytest.mark.parametrize("kind", [list, tuple])
def test_content_in_parts(capturing: Recorded, server: ScriptedServer, kind: type) -> None:
    sent = received_request(server, [{"role": "user", "content": kind(PARTS)}, {"role": "assistant", "content": None}])
    assert sent["messages"] == [{"role": "user", "content": PARTS}, {"role": "assistant", "content": None}]
    assert prompt(capturing) == [
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "What is this?"},
                {"type": "uri", "modality": "image", "uri": "https://example.org/cat.png"},
                {"type": "blob", "modality": "image", "mime_type": "image/webp", "content": "UklGRg=="},
                {"type": "blob", "modality": "audio", "mime_type": "audio/mp3", "content": "SUQz"},
                {"type": "blob", "modality": "document", "mime_type": "application/pdf", "content": "JVBERi0="},
                {"type": "file", "modality": "document", "file_id": "file-1"},
            ],
        },
        {"role": "assistant", "parts": []},
    ]


def test_a_lone_surrogate_is_sent_or_refused_by_the_client_and_replaced_on_the_span(
    capturing: Recorded, server: ScriptedServer
) -> None:
    lone = "\ud83d half an emoji"
    message: Any = {"role": "assistant", "content": lone}
    server.answers.insert(0, Answer(completion(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])))
    try:
        received_request(server, [{"role": "user", "content": lone}])
    except UnicodeEncodeError:  # a client that sends JSON as UTF-8, not as ASCII
        assert attribute(capturing.span(), "error.type") == "UnicodeEncodeError"
    else:
        assert server.received[0].body["messages"] == [{"role": "user", "content": lone}]
        (answer,) = json.loads(attribute(capturing.span(), "gen_ai.output.messages"))
        assert answer["parts"] == [{"type": "text", "content": "? half an emoji"}]
    assert prompt(capturing) == [{"role": "user", "parts": [{"type": "text", "content": "? half an emoji"}]}]


@pytest.mark.parametrize("messages", [[{"role": "user", "content": b"Say hello."}], [b"Say hello."], b"Say", 7])
def test_messages_that_the_client_refuses_raise_the_same_error(
    capturing: Recorded, server: ScriptedServer, messages: Any
) -> None:
    otel_genai.uninstrument()
    try:
        sent: Any = received_request(server, messages)
        refused: type[BaseException] | None = None
    except Exception as error:  # noqa: BLE001  # any class
        sent, refused = None, type(error)
    otel_genai.instrument(**capturing.providers)
    if refused is None:
        assert received_request(server, messages) == sent
    else:
        with pytest.raises(refused):
            received_request(server, messages)
        assert attribute(capturing.span(), "error.type").endswith(refused.__name__)
    assert capturing.span().name == "chat gpt-4o"


# ── the caller's own objects ───────────────────────────────────────────────────────────────────────────────────────────


def test_dicts_of_the_caller_are_not_changed(capturing: Recorded, server: ScriptedServer) -> None:
    turn = {"role": "user", "content": "Say hello."}
    mine: dict[str, Any] = {
        "messages": [turn],
        "extra_headers": {"x-mine": "1"},
        "extra_query": {"page": "2"},
        "extra_body": {"top_k": 40},
        "logit_bias": {"50256": -100},
        "stop": ["END"],
    }
    before = json.dumps(mine)
    headers = mine["extra_headers"]
    for _ in range(2):
        received_request(server, **mine)
    assert json.dumps(mine) == before
    assert mine["extra_headers"] is headers
    assert mine["messages"][0] is turn
    first, second = server.received
    assert (
        (first.body, first.path)
        == (second.body, second.path)
        == (
            {"model": "gpt-4o", "messages": [turn], "logit_bias": {"50256": -100}, "stop": ["END"], "top_k": 40},
            "/v1/chat/completions?page=2",
        )
    )
    assert (first.headers["x-mine"], second.headers["x-mine"]) == ("1", "1")
    assert first.headers["traceparent"] != second.headers["traceparent"]
    assert [attribute(span, "gen_ai.request.top_k") for span in capturing.spans(2)] == [40, 40]


def test_omitted_parameters_are_neither_sent_nor_reported(instrumented: Recorded, server: ScriptedServer) -> None:
    nothing = [openai.NOT_GIVEN, *([openai.omit] if hasattr(openai, "omit") else [])]
    for sentinel in nothing:
        sent = received_request(
            server, temperature=sentinel, n=sentinel, stop=sentinel, stream=sentinel, response_format=sentinel
        )
        assert sent.keys() == {"model", "messages"}
    assert [attributes(span) for span in instrumented.spans(len(nothing))] == [COMPLETED] * len(nothing)


WRONG: list[dict[str, Any]] = [
    {"n": "three"},
    {"n": True},
    {"temperature": "hot"},
    {"temperature": 10**400},
    {"seed": 2**63},
    {"top_p": [0.5]},
    {"max_tokens": 1.5},
    {"stop": {"END": 1}},
    {"seed": None},
    {"response_format": "json"},
    {"response_format": {"type": ["json_object"]}},
    {"modalities": "audio"},
    {"reasoning_effort": 3},
    {"service_tier": {}},
    {"tools": "all"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong)[:40])
def test_a_parameter_of_a_wrong_type_is_sent_to_the_server(
    capturing: Recorded, server: ScriptedServer, wrong: dict[str, Any]
) -> None:
    # As an argument and, for a parameter that the client lacks, in `extra_body`.
    known = wrong.keys() <= inspect.signature(openai.resources.chat.completions.Completions.create).parameters.keys()
    assert received_request(server, **(wrong if known else {"extra_body": wrong})) == {
        "model": "gpt-4o",
        "messages": USER,
        **wrong,
    }
    found = attributes(capturing.span())
    del found["gen_ai.input.messages"], found["gen_ai.output.messages"]
    assert found == COMPLETED


@pytest.mark.parametrize("model", [None, 7, ""])
def test_a_model_that_is_none(instrumented: Recorded, server: ScriptedServer, model: Any) -> None:
    client(server).chat.completions.create(model=model, messages=USER)
    assert server.received[0].body["model"] == model
    assert instrumented.span().name == "chat"


def test_arguments_that_the_client_refuses_raise_the_same_error(instrumented: Recorded, server: ScriptedServer) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        received_request(server, nonsense=1)
    assert server.received == []
    assert attributes(instrumented.span()) == BASIC | {"error.type": "TypeError"}
    assert instrumented.span().status.status_code is StatusCode.ERROR


# ── clients ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_subclass_of_the_client(instrumented: Recorded, server: ScriptedServer) -> None:
    class Mine(openai.OpenAI):
        pass

    with Mine(base_url=server.url, api_key="sk-secret") as mine:
        mine.chat.completions.create(model="gpt-4o", messages=USER)
    assert attributes(instrumented.span()) == COMPLETED


def test_a_subclass_of_the_resource_that_calls_its_parent_is_one_span(
    instrumented: Recorded, server: ScriptedServer
) -> None:
    class Mine(openai.resources.chat.completions.Completions):
        def create(self, **arguments: Any) -> Any:
            return super().create(**arguments, seed=1)

    Mine(client(server)).create(model="gpt-4o", messages=USER)
    assert attributes(instrumented.span()) == COMPLETED | {"gen_ai.request.seed": 1}


async def test_clients_made_before_the_instrumentation(recorded: Recorded, server: ScriptedServer) -> None:
    older = client(server)
    bound = older.chat.completions  # the resource exists; its method is looked up at the call
    async with async_client(server) as asynchronous:
        async_bound = asynchronous.chat.completions
        otel_genai.instrument(**recorded.providers)
        bound.create(model="gpt-4o", messages=USER)
        await async_bound.create(model="gpt-4o", messages=USER)
    otel_genai.uninstrument()
    assert [attributes(span) for span in recorded.spans(2)] == [COMPLETED] * 2


def test_a_client_with_options_of_its_own(instrumented: Recorded, server: ScriptedServer) -> None:
    with scripted(Answer(events=HELLO)) as other:
        theirs = client(server).with_options(base_url=other.url, timeout=5, max_retries=1)
        assert len(list(theirs.chat.completions.create(model="gpt-4o", messages=USER, stream=True))) == 5
        port = int(other.url.split(":")[2].split("/")[0])
    assert server.received == []
    assert attributes(instrumented.span()) == STREAMED
    assert attribute(instrumented.span(), "server.port") == port


def test_the_client_of_the_module(
    instrumented: Recorded, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai, "api_key", "sk-secret")
    monkeypatch.setattr(openai, "base_url", server.url)
    openai.chat.completions.create(model="gpt-4o", messages=USER)
    openai._load_client().close()
    openai._reset_client()
    assert attributes(instrumented.span()) == COMPLETED
