"""Content of the Responses API: what was asked, item by item; and that nothing which a server or a caller may send breaks the reading."""

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
ASKED = [
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


def test_what_was_asked(capturing: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.create(model="gpt-4o", instructions="In rhyme.", input=CONVERSATION, tools=TOOLS)
    span = capturing.span()
    assert content(span, "input.messages") == ASKED
    assert content(span, "system_instructions") == [text("In rhyme.")]
    assert content(span, "tool.definitions") == [
        {"type": "function", "name": "weather"},
        {"type": "custom", "name": "shout"},
        {"type": "web_search", "name": "web_search"},
    ]


def test_a_string_is_one_message_of_the_user(capturing: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.create(model="gpt-4o", input="Say hello.")
    asked = content(capturing.span(), "input.messages")
    assert asked == [{"role": "user", "parts": [text("Say hello.")]}]


# ── tools that the server runs by itself ───────────────────────────────────────────────────────────────────────────────


def asked_of_a_tool(tool: str, item_id: str, name: str | None = None, /, **call: Any) -> dict[str, Any]:
    told = {"type": tool, **call}
    return {"type": "server_tool_call", "id": item_id, "name": name or tool, "server_tool_call": told}


def answered_by_a_tool(tool: str, item_id: str, /, **answer: Any) -> dict[str, Any]:
    return {
        "type": "server_tool_call_response",
        "id": item_id,
        "server_tool_call_response": {"type": tool, **answer},
    }


FOUND = {"file_id": "file-1", "filename": "fjords.txt", "score": 0.9, "text": "Fjords are deep."}
PRINTED = {"type": "logs", "logs": "42"}
DRY: Any = {"type": "http_error", "code": 503, "message": "dry"}
if not hasattr(TYPES.response_output_item, "McpToolCallError"):
    DRY = "dry"  # which is how the client knew it once, and it warns of what it does not know when that is sent back
SERVER_TOOLS = {
    "web search": (SEARCH, [SEARCHED]),
    "file search": (
        {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": ["fjord"], "results": [FOUND]},
        [
            asked_of_a_tool("file_search", "fs_1", queries=["fjord"]),
            answered_by_a_tool("file_search", "fs_1", results=[FOUND]),
        ],
    ),
    "file search whose results were not asked for": (
        {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": ["fjord"], "results": None},
        [asked_of_a_tool("file_search", "fs_1", queries=["fjord"])],
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
            asked_of_a_tool("code_interpreter", "ci_1", code="print(42)", container_id="cntr_1"),
            answered_by_a_tool("code_interpreter", "ci_1", outputs=[PRINTED]),
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
            asked_of_a_tool(
                "mcp", "mcp_1", "depth", server_label="fjords", name="depth", arguments='{"of": "Sognefjord"}'
            ),
            answered_by_a_tool("mcp", "mcp_1", output="1308 m"),
        ],
    ),
    "MCP that failed": (
        {"id": "mcp_1", "type": "mcp_call", "server_label": "fjords", "name": "depth", "arguments": "", "error": DRY},
        [
            asked_of_a_tool("mcp", "mcp_1", "depth", server_label="fjords", name="depth", arguments=""),
            answered_by_a_tool("mcp", "mcp_1", error=DRY),
        ],
    ),
    "image generation, without its picture": (
        {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "iVBORw0KGgo="},
        [asked_of_a_tool("image_generation", "ig_1")],
    ),
    "compaction": (COMPACTION, [{"type": "compaction", "id": "cmp_1"}]),
}


@pytest.mark.parametrize(("item", "parts"), SERVER_TOOLS.values(), ids=SERVER_TOOLS)
def test_what_a_tool_of_the_servers_own_did_is_part_of_the_answer_and_of_what_is_asked_next(
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
def test_what_a_tool_of_the_servers_own_did_is_part_of_a_streamed_answer(
    capturing: Recorded, item: dict[str, Any], parts: list[dict[str, Any]]
) -> None:
    events = [STREAM[0], event("output_item.done", output_index=0, item=item), CUT]
    with scripted(Answer(events=events)) as server, pytest.raises(BROKEN):
        list(client(server).responses.create(model="gpt-4o", input="Hi", stream=True))
    assert content(capturing.span(), "output.messages") == answered(*parts, finish_reason="error")


def test_what_the_client_did_not_expect_in_a_server_tools_call_is_recorded_without_a_warning(
    capturing: Recorded,
) -> None:
    odd = {**SEARCH, "action": {"type": "search", "query": 5, "by": [None]}}
    with scripted(Answer(response(odd))) as server:
        client(server).responses.create(model="gpt-4o", input="Hi")
    (message,) = content(capturing.span(), "output.messages")
    told = {"type": "web_search", "action": {"type": "search", "query": 5, "by": [None]}}
    assert message["parts"] == [{**SEARCHED, "server_tool_call": told}]


# ── content that is not wanted, or not ours to take ────────────────────────────────────────────────────────────────────


def test_tools_from_a_generator_reach_the_server(capturing: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.create(model="gpt-4o", input="Hi", tools=(tool for tool in TOOLS))
        assert server.received[0].body["tools"] == TOOLS
    assert "gen_ai.tool.definitions" not in attributes(capturing.span())


def test_no_content_is_built_unless_it_is_wanted(instrumented: Recorded) -> None:
    with scripted(Answer(response(THOUGHT, HELLO))) as server:
        client(server).responses.create(model="gpt-4o", instructions="In rhyme.", input=CONVERSATION, tools=TOOLS)
    assert not {"Hello!", "In rhyme.", "A greeting."} & set(instrumented.span().to_json().split('"'))


def test_no_text_of_a_stream_is_kept_unless_it_is_wanted() -> None:
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


def mangled(value: Any, chance: random.Random) -> Any:
    """The value with some of it replaced by what nobody expects there."""
    if chance.random() < 0.1:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return Loose({name: mangled(item, chance) for name, item in value.items() if chance.random() > 0.05})
    return [mangled(item, chance) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_a_server_or_a_caller_sends_breaks_the_reading(seed: int) -> None:
    chance = random.Random(seed)
    instance = client("http://127.0.0.1:1").responses
    for _ in range(50):
        odd = mangled(response(THOUGHT, HELLO, CALL), chance)
        for read in (responses.created_response, responses.fetched_response, responses.compacted_response):
            read(odd, content=True)
        for endpoint in (responses.CREATE, responses.FETCH):
            fold = endpoint.fold(Request(operation=endpoint.default.operation, provider="x"), True)
            for start in STARTS:
                assert fold.add(mangled(start, chance)) in {True, False}
            fold.response()
        kwargs = {name: mangled(value, chance) for name, value in PARAMETERS.items()}
        arguments = Arguments(instance, (), kwargs)
        for endpoint in (responses.CREATE, responses.FETCH):
            endpoint.request(arguments)
            endpoint.prompt(arguments)
