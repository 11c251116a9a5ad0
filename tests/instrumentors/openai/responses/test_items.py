"""Content of the Responses API, item by item; odd items are read without an error."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.endpoint.arguments import Arguments
from otel_genai.http.body import Loose
from otel_genai.instrumentors.openai import responses
from otel_genai.instrumentors.openai.response_items import DELTAS
from otel_genai.operation import Request
from tests.support.openai.clients import BROKEN, NO_RESPONSES, attributes, client
from tests.support.openai.expected_content import answered, content, said, text
from tests.support.openai.scripted_responses import (
    CALL,
    COMPACTION,
    HELLO,
    SEARCH,
    SEARCHED,
    STREAM,
    THOUGHT,
    at,
    event,
    response,
)
from tests.support.openai.scripted_server import CUT, Answer, scripted

if TYPE_CHECKING:
    from tests.support.providers import Recorded

TYPES: Any = pytest.importorskip("openai.types.responses", reason=NO_RESPONSES)

PDF = "data:application/pdf;base64,JVBERi0="
CONVERSATION: list[Any] = [
    {"role": "developer", "content": "Be brief."},
    {"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "https://example.org/cat.png", "detail": "auto"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"},
        {"type": "input_image", "file_id": "file-1", "detail": "auto"},
        {"type": "input_file", "file_id": "file-2"},
        {"type": "input_file", "file_url": "https://example.org/cat.pdf"},
        {"type": "input_file", "filename": "cat.pdf", "file_data": PDF},
        {"type": "input_file", "filename": "cat.pdf", "file_data": "JVBERi0="},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]},
    *TYPES.Response.construct(**response(THOUGHT, SEARCH, HELLO, CALL)).output,
    {"type": "custom_tool_call", "call_id": "call_2", "name": "shout", "input": "42"},
    {"type": "function_call_output", "call_id": "call_1", "output": "12°"},
    {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "FORTY-TWO"}]},
    {"type": "item_reference", "id": "msg_0"},
    COMPACTION,
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "No more."}]},
    {"role": "user", "content": "Why?"},
]  # fmt: skip
INPUT = [
    said("developer", "Be brief."),
    said(
        "user",
        "What is this?",
        {"type": "uri", "modality": "image", "uri": "https://example.org/cat.png"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBORw0KGgo="},
        {"type": "file", "modality": "image", "file_id": "file-1"},
        {"type": "file", "modality": "document", "file_id": "file-2"},
        {"type": "uri", "modality": "document", "uri": "https://example.org/cat.pdf"},
        {"type": "blob", "modality": "document", "mime_type": "application/pdf", "content": "JVBERi0="},
        {"type": "blob", "modality": "document", "content": "JVBERi0="},
        {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "UklGRg=="},
    ),
    said("assistant", {"type": "reasoning", "content": "A greeting."}),
    said("assistant", SEARCHED),
    said("assistant", "Hello!"),
    said("assistant", {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Oslo"}}),
    said("assistant", {"type": "tool_call", "id": "call_2", "name": "shout", "arguments": "42"}),
    said("tool", {"type": "tool_call_response", "id": "call_1", "response": "12°"}),
    said(
        "tool",
        {"type": "tool_call_response", "id": "call_2", "response": [{"type": "input_text", "text": "FORTY-TWO"}]},
    ),
    said("assistant", {"type": "compaction", "id": "cmp_1"}),
    said("assistant", "No more."),
    said("user", "Why?"),
]
TOOLS: list[Any] = [
    {"type": "function", "name": "weather", "description": "Of a city.", "parameters": {}, "strict": True},
    {"type": "custom", "name": "shout"},
    {"type": "web_search"},
]


def test_every_input_item(capturing: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.create(model="gpt-4o", instructions="In rhyme.", input=CONVERSATION, tools=TOOLS)
    span = capturing.span()
    assert content(span, "input.messages") == INPUT
    assert content(span, "system_instructions") == [text("In rhyme.")]
    assert content(span, "tool.definitions") == [
        {"type": "function", "name": "weather"},
        {"type": "custom", "name": "shout"},
        {"type": "web_search", "name": "web_search"},
    ]


def test_a_string_is_one_message_of_the_user(capturing: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.create(model="gpt-4o", input="Say hello.")
    messages = content(capturing.span(), "input.messages")
    assert messages == [{"role": "user", "parts": [text("Say hello.")]}]


# ── tools that the server runs ─────────────────────────────────────────────────────────────────────────────────────────


def tool_call_part(tool: str, item_id: str, name: str | None = None, /, **call: Any) -> dict[str, Any]:
    tool_call = {"type": tool, **call}
    return {"type": "server_tool_call", "id": item_id, "name": name or tool, "server_tool_call": tool_call}


def tool_response_part(tool: str, item_id: str, /, **answer: Any) -> dict[str, Any]:
    return {
        "type": "server_tool_call_response",
        "id": item_id,
        "server_tool_call_response": {"type": tool, **answer},
    }


FOUND = {"file_id": "file-1", "filename": "fjords.txt", "score": 0.9, "text": "Fjords are deep."}
PRINTED = {"type": "logs", "logs": "42"}
DRY: Any = {"type": "http_error", "code": 503, "message": "dry"}
if not hasattr(TYPES.response_output_item, "McpToolCallError"):
    DRY = "dry"  # an older client's name; it warns of an unknown value that is sent back
SERVER_TOOLS = {
    "web search": (SEARCH, [SEARCHED]),
    "file search": (
        {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": ["fjord"], "results": [FOUND]},
        [
            tool_call_part("file_search", "fs_1", queries=["fjord"]),
            tool_response_part("file_search", "fs_1", results=[FOUND]),
        ],
    ),
    "file search without results": (
        {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": ["fjord"], "results": None},
        [tool_call_part("file_search", "fs_1", queries=["fjord"])],
    ),
    "code interpreter": (
        {
            "id": "ci_1",
            "type": "code_interpreter_call",
            "status": "completed",
            "code": "print(42)",
            "container_id": "cntr_1",
            "outputs": [PRINTED],
        },
        [
            tool_call_part("code_interpreter", "ci_1", code="print(42)", container_id="cntr_1"),
            tool_response_part("code_interpreter", "ci_1", outputs=[PRINTED]),
        ],
    ),
    "MCP": (
        {
            "id": "mcp_1",
            "type": "mcp_call",
            "server_label": "fjords",
            "name": "depth",
            "arguments": '{"of": "Sognefjord"}',
            "output": "1308 m",
        },
        [
            tool_call_part(
                "mcp", "mcp_1", "depth", server_label="fjords", name="depth", arguments='{"of": "Sognefjord"}'
            ),
            tool_response_part("mcp", "mcp_1", output="1308 m"),
        ],
    ),
    "MCP that failed": (
        {"id": "mcp_1", "type": "mcp_call", "server_label": "fjords", "name": "depth", "arguments": "", "error": DRY},
        [
            tool_call_part("mcp", "mcp_1", "depth", server_label="fjords", name="depth", arguments=""),
            tool_response_part("mcp", "mcp_1", error=DRY),
        ],
    ),
    "image generation, without its picture": (
        {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "iVBORw0KGgo="},
        [tool_call_part("image_generation", "ig_1")],
    ),
    "compaction": (COMPACTION, [{"type": "compaction", "id": "cmp_1"}]),
}


@pytest.mark.parametrize(("item", "parts"), SERVER_TOOLS.values(), ids=SERVER_TOOLS)
def test_a_server_tool_call_is_part_of_the_response_and_of_the_next_request(
    capturing: Recorded, item: dict[str, Any], parts: list[dict[str, Any]]
) -> None:
    with scripted(Answer(response(item, HELLO))) as server:
        answer = client(server).responses.create(model="gpt-4o", input="Hi")
        again: Any = [*answer.output, {"role": "user", "content": "Why?"}]
        client(server).responses.create(model="gpt-4o", input=again)
    first, second = capturing.spans(2)
    assert content(first, "output.messages") == answered(*parts, "Hello!", finish_reason="stop")
    assert content(second, "input.messages") == [
        said("assistant", *parts),
        said("assistant", "Hello!"),
        said("user", "Why?"),
    ]
    assert not any("iVBOR" in span.to_json() or "gAAA" in span.to_json() for span in (first, second))


@pytest.mark.parametrize(("item", "parts"), SERVER_TOOLS.values(), ids=SERVER_TOOLS)
def test_a_server_tool_call_is_part_of_a_streamed_response(
    capturing: Recorded, item: dict[str, Any], parts: list[dict[str, Any]]
) -> None:
    events = [STREAM[0], event("output_item.done", output_index=0, item=item), CUT]
    with scripted(Answer(events=events)) as server, pytest.raises(BROKEN):
        list(client(server).responses.create(model="gpt-4o", input="Hi", stream=True))
    assert content(capturing.span(), "output.messages") == answered(*parts, finish_reason="error")


def test_unknown_values_in_a_server_tool_call_are_recorded_without_a_warning(
    capturing: Recorded,
) -> None:
    odd = {**SEARCH, "action": {"type": "search", "query": 5, "by": [None]}}
    with scripted(Answer(response(odd))) as server:
        client(server).responses.create(model="gpt-4o", input="Hi")
    (message,) = content(capturing.span(), "output.messages")
    tool_call = {"type": "web_search", "action": {"type": "search", "query": 5, "by": [None]}}
    assert message["parts"] == [{**SEARCHED, "server_tool_call": tool_call}]


# ── content that is off, and iterators ─────────────────────────────────────────────────────────────────────────────────


def test_tools_from_a_generator_reach_the_server(capturing: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.create(model="gpt-4o", input="Hi", tools=(tool for tool in TOOLS))
        assert server.received[0].body["tools"] == TOOLS
    assert "gen_ai.tool.definitions" not in attributes(capturing.span())


def test_no_content_is_built_with_content_off(instrumented: Recorded) -> None:
    with scripted(Answer(response(THOUGHT, HELLO))) as server:
        client(server).responses.create(model="gpt-4o", instructions="In rhyme.", input=CONVERSATION, tools=TOOLS)
    assert not {"Hello!", "In rhyme.", "A greeting."} & set(instrumented.span().to_json().split('"'))


def test_no_text_of_a_stream_is_kept_with_content_off() -> None:
    for wanted in (False, True):
        fold = responses.ResponseFold(responses.CREATE.default, wanted)
        assert fold.add(Loose(event("output_text.delta", **at(0, delta="Hel"))))
        assert bool(fold._items) is wanted
        assert bool(fold.response().messages) is wanted


# ── odd input ──────────────────────────────────────────────────────────────────────────────────────────────────────────

ODD: list[Any] = [
    None,
    "",
    "\ud800",
    0,
    -1,
    1.5,
    True,
    [],
    [None],
    {},
    {"type": []},
    [[["x"]]],
    {"id": {}},
    b"x",
    object(),
]
STARTS = [response(THOUGHT, HELLO, CALL), *STREAM, *({"type": kind, "delta": "x"} for kind in DELTAS), *CONVERSATION]


PARAMETERS: dict[str, Any] = {
    "input": CONVERSATION,
    "tools": TOOLS,
    "instructions": "x",
    "model": "gpt-4o",
    "reasoning": {"effort": "low"},
    "text": {"format": {"type": "json_schema"}},
    "conversation": {"id": "conv_1"},
    "extra_body": {"temperature": 0},
    "starting_after": 5,
    "stream": True,
}


def with_odd_values(value: Any, chance: random.Random) -> Any:
    """The value with parts of it replaced by odd values."""
    if chance.random() < 0.1:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return Loose({name: with_odd_values(item, chance) for name, item in value.items() if chance.random() > 0.05})
    return [with_odd_values(item, chance) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(20))
def test_odd_requests_and_responses_are_read_without_an_error(seed: int) -> None:
    chance = random.Random(seed)
    instance = client("http://127.0.0.1:1").responses
    for _ in range(50):
        odd = with_odd_values(response(THOUGHT, HELLO, CALL), chance)
        for read in (responses.created_response, responses.fetched_response, responses.compacted_response):
            read(odd, content=True)
        for endpoint in (responses.CREATE, responses.FETCH):
            fold = endpoint.fold(Request(operation=endpoint.default.operation, provider="x"), True)
            for start in STARTS:
                assert fold.add(with_odd_values(start, chance)) in {True, False}
            fold.response()
        kwargs = {name: with_odd_values(value, chance) for name, value in PARAMETERS.items()}
        arguments = Arguments(instance, (), kwargs)
        for endpoint in (responses.CREATE, responses.FETCH):
            endpoint.request(arguments)
            endpoint.prompt(arguments)
