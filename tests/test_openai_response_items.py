"""Content of the Responses API: what was asked, item by item; and that nothing which a server or a caller may send breaks the reading."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from openai.types.responses import Response as ClientResponse

from openai_clients import attributes, client
from otel_genai.endpoint import Arguments
from otel_genai.instrumentors.openai import OpenAIInstrumentor, responses
from otel_genai.instrumentors.openai.response_items import DELTAS
from otel_genai.operation import Request
from otel_genai.raw import Loose
from scripted_responses import CALL, COMPACTION, HELLO, SEARCH, STREAM, THOUGHT, at, event, response, valid
from scripted_server import Answer, scripted

if TYPE_CHECKING:
    from recorded import Recorded


@pytest.fixture(autouse=True)
def _rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of this surface, whether or not the instrumentor's table has them."""
    monkeypatch.setattr(OpenAIInstrumentor, "rows", tuple(dict.fromkeys((*OpenAIInstrumentor.rows, *responses.ROWS))))


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


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
    *ClientResponse.construct(**response(THOUGHT, SEARCH, HELLO, CALL)).output,
    {"type": "custom_tool_call", "call_id": "call_2", "name": "shout", "input": "42"},
    {"type": "function_call_output", "call_id": "call_1", "output": "12°"},
    {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "FORTY-TWO"}]},
    {"type": "item_reference", "id": "msg_0"},
    COMPACTION,
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "No more."}]},
    {"role": "user", "content": "Why?"},
]  # fmt: skip
ASKED = [
    {"role": "developer", "parts": [text("Be brief.")]},
    {"role": "user", "parts": [
        text("What is this?"),
        {"type": "uri", "modality": "image", "uri": "https://example.org/cat.png"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBORw0KGgo="},
        {"type": "file", "modality": "image", "file_id": "file-1"},
        {"type": "file", "modality": "document", "file_id": "file-2"},
        {"type": "uri", "modality": "document", "uri": "https://example.org/cat.pdf"},
        {"type": "blob", "modality": "document", "mime_type": "application/pdf", "content": "JVBERi0="},
        {"type": "blob", "modality": "document", "content": "JVBERi0="},
        {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "UklGRg=="},
    ]},
    {"role": "assistant", "parts": [{"type": "reasoning", "content": "A greeting."}]},
    {"role": "assistant", "parts": [text("Hello!")]},
    {"role": "assistant", "parts": [
        {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Oslo"}}
    ]},
    {"role": "assistant", "parts": [{"type": "tool_call", "id": "call_2", "name": "shout", "arguments": "42"}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "12°"}]},
    {"role": "tool", "parts": [
        {"type": "tool_call_response", "id": "call_2", "response": [{"type": "input_text", "text": "FORTY-TWO"}]}
    ]},
    {"role": "assistant", "parts": [text("No more.")]},
    {"role": "user", "parts": [text("Why?")]},
]  # fmt: skip
TOOLS: list[Any] = [
    {"type": "function", "name": "weather", "description": "Of a city.", "parameters": {}, "strict": True},
    {"type": "custom", "name": "shout"},
    {"type": "web_search"},
]


def test_what_was_asked(capturing: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.create(model="gpt-4o", instructions="In rhyme.", input=CONVERSATION, tools=TOOLS)
    span = capturing.span()
    assert valid(span, "gen_ai.input.messages", "gen-ai-input-messages.json") == ASKED
    assert valid(span, "gen_ai.system_instructions", "gen-ai-system-instructions.json") == [text("In rhyme.")]
    assert valid(span, "gen_ai.tool.definitions", "gen-ai-tool-definitions.json") == [
        {"type": "function", "name": "weather"},
        {"type": "custom", "name": "shout"},
        {"type": "web_search", "name": "web_search"},
    ]


def test_a_string_is_one_message_of_the_user(capturing: Recorded) -> None:
    with scripted(Answer(response())) as server:
        client(server).responses.create(model="gpt-4o", input="Say hello.")
    asked = valid(capturing.span(), "gen_ai.input.messages", "gen-ai-input-messages.json")
    assert asked == [{"role": "user", "parts": [text("Say hello.")]}]


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
    kept = {content: responses.ResponseFold(responses.CREATE.default, content) for content in (False, True)}
    for content, fold in kept.items():
        assert fold.add(Loose(event("output_text.delta", **at(0, delta="Hel"))))
        assert bool(fold._items) is content
        assert bool(fold.response().messages) is content


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
        for read in (responses.created, responses.fetched, responses.compacted):
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
