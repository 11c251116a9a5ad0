"""The example `chat_app` without its page: its requests to the model server, and its events for the page."""

from __future__ import annotations

import json
import re
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support.browser.chat_app import FOLDER, chat_app, events, turn
from tests.support.openai.scripted_server import CUT, HELLO, Answer, ScriptedServer, chunk, delta, scripted
from tests.support.processes import PATIENCE_S, PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("fastapi")

AT_ONCE = {"retry-after-ms": "1"}
TOO_MANY = Answer(status=429, body={"error": {"message": "Slow down."}}, headers=AT_ONCE)
FAILED = Answer(status=500, body={"error": {"message": "Sorry."}}, headers=AT_ONCE)
REFUSED = Answer(status=400, body={"error": {"message": "Too long."}})
DONE = {
    "done": [{"role": "assistant", "content": "Hello!"}],
    "model": "gpt-4o",
    "tokens": 3,
    "reason": "stop",
}


def tool_call(name: str, *arguments: str) -> Answer:
    """An answer that calls a function, with its arguments in fragments."""
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in arguments]
    calls = [chunk(delta(tool_calls=[piece])) for piece in (first, *pieces)]
    return Answer(events=[*calls, chunk(delta(finish_reason="tool_calls"))])


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, ScriptedServer]]:
    with scripted(Answer()) as script, chat_app(PYTHON, OPENAI_BASE_URL=script.url, OPENAI_MODEL="gpt-4o") as address:
        yield address, script


@pytest.fixture
def app(served: tuple[str, ScriptedServer]) -> str:
    return served[0]


@pytest.fixture
def model(served: tuple[str, ScriptedServer]) -> ScriptedServer:
    served[1].received.clear()
    return served[1]


def test_a_turn_streams_text_and_returns_the_new_messages(app: str, model: ScriptedServer) -> None:
    model.answers = [Answer(events=HELLO)]
    assert events(app, "Say hello") == [{"text": "Hel"}, {"text": "lo!"}, DONE]
    (request,) = model.received
    assert request.body["messages"] == [{"role": "user", "content": "Say hello"}]
    assert [tool["function"]["name"] for tool in request.body["tools"]] == ["weather"]


def test_text_is_forwarded_at_once(app: str, model: ScriptedServer) -> None:
    go_on = threading.Event()
    model.answers = [Answer(events=[*HELLO[:2], go_on, *HELLO[2:]])]
    with turn(app, {"messages": [{"role": "user", "content": "Say hello"}]}) as response:
        assert json.loads(response.readline()) == {"text": "Hel"}
        go_on.set()
        assert [json.loads(line) for line in response.read().splitlines()] == [{"text": "lo!"}, DONE]


def test_a_tool_is_called_and_its_result_sent_to_the_model(app: str, model: ScriptedServer) -> None:
    model.answers = [tool_call("weather", '{"ci', 'ty": "Bergen"}'), Answer(events=HELLO)]
    tool, *text, done = events(app, "Rain in Bergen?")
    result = json.loads(tool["result"])
    assert tool == {"tool": "weather", "arguments": '{"city": "Bergen"}', "result": tool["result"]}
    assert result.keys() == {"city", "sky", "celsius"}
    assert text == [{"text": "Hel"}, {"text": "lo!"}]
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bergen"}'}}
    added = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": tool["result"]},
    ]
    assert model.received[1].body["messages"][1:] == added
    assert done["done"] == [*added, {"role": "assistant", "content": "Hello!"}]


@pytest.mark.parametrize(
    ("name", "arguments", "trouble"),
    [
        ("weather", '{"city"', "JSONDecodeError"),
        ("weather", "[]", "TypeError"),
        ("weather", '{"town": "Bergen"}', "TypeError"),
        ("weather", '{"city": 5}', "AttributeError"),
        ("forecast", "{}", "KeyError"),
    ],
    ids=["no JSON", "no object", "another name", "no text", "no such tool"],
)
def test_an_invalid_tool_call_returns_an_error_to_the_model(
    name: str, arguments: str, trouble: str, app: str, model: ScriptedServer
) -> None:
    model.answers = [tool_call(name, arguments), Answer(events=HELLO)]
    tool, *_, done = events(app, "Rain in Bergen?")
    assert json.loads(tool["result"])["error"].startswith(trouble)
    assert done["reason"] == "stop"


def test_tools_are_withdrawn_after_five_rounds(app: str, model: ScriptedServer) -> None:
    model.answers = [*(5 * [tool_call("weather", '{"city": "Bergen"}')]), Answer(events=HELLO)]
    assert [*map(set, events(app, "Rain?"))] == [
        *(5 * [{"tool", "arguments", "result"}]),
        {"text"},
        {"text"},
        set(DONE),
    ]
    assert ["tools" in request.body for request in model.received] == [*(5 * [True]), False]


def test_tools_are_not_offered_if_the_page_switches_them_off(app: str, model: ScriptedServer) -> None:
    model.answers = [Answer(events=HELLO)]
    events(app, "Rain in Bergen?", tools=False)
    assert "tools" not in model.received[0].body


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (TOO_MANY, [{"error": "The model server is overloaded (429)."}]),
        (FAILED, [{"error": "The model server failed (500)."}]),
        (REFUSED, [{"error": "The model server refused the request (400): Too long."}]),
        (
            Answer(events=[*HELLO[:2], {"error": {"message": "Out of memory."}}]),
            [{"text": "Hel"}, {"error": "The model server failed: Out of memory."}],
        ),
        (
            Answer(events=[*HELLO[:2], CUT]),
            [{"text": "Hel"}, {"error": "There is no connection to the model server."}],
        ),
        (Answer(events=HELLO[:2]), [{"text": "Hel"}, {"error": "The answer ended early."}]),
    ],
    ids=["429", "500", "400", "in the stream", "lost", "without an end"],
)
def test_an_error_is_described_in_plain_english(
    answer: Answer, expected: list[dict[str, Any]], app: str, model: ScriptedServer
) -> None:
    model.answers = [answer]
    assert events(app, "Hello") == expected


@pytest.mark.parametrize("begun", [False, True], ids=["before the answer", "during it"])
def test_a_disconnected_page_ends_the_model_request(begun: bool) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}]})
    asked = (
        f"POST /chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    answer = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {json.dumps(HELLO[1])}\n\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with chat_app(PYTHON, OPENAI_BASE_URL=url, OPENAI_MODEL="gpt-4o") as address:
            page = socket.create_connection(("127.0.0.1", urlsplit(address).port), timeout=PATIENCE_S)
            page.sendall(asked.encode())
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE_S)
                assert connection.recv(1 << 16).startswith(b"POST /v1/chat/completions")
                if begun:
                    connection.sendall(answer.encode())
                    while b"Hel" not in page.recv(1 << 16):
                        pass
                page.close()
                while connection.recv(1 << 16):
                    pass


def test_the_default_model_is_the_servers_first(model_server: str) -> None:
    with chat_app(PYTHON, OPENAI_BASE_URL=model_server) as address:
        tool, *_, done = events(address, "What is the weather in Bergen?")
    assert json.loads(tool["arguments"]) == {"city": "Bergen"}
    assert done["model"] == "sim-small"


def test_a_turn_without_messages_is_refused(app: str) -> None:
    with turn(app, {"tools": True}) as response:
        assert response.status == 422


def test_the_example_has_no_code_for_telemetry() -> None:
    for path in [*FOLDER.glob("*.py"), FOLDER / "requirements.txt"]:
        assert not re.search(r"otel|telemetry", path.read_text(), re.IGNORECASE), path


def test_the_page_loads_nothing_from_other_hosts_and_renders_no_text_as_markup() -> None:
    for path in (FOLDER / "page").iterdir():
        text = re.sub(r"https://www\.w3\.org/\S+", "", path.read_text())
        assert "//" not in re.sub(r"^\s*// ", "", text, flags=re.MULTILINE), path
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), path
