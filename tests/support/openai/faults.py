"""Functions with a bug, and a call of every row of the table."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import re
from typing import TYPE_CHECKING, Any

import openai

import otel_genai
from otel_genai.endpoint.rows import CallRow
from otel_genai.instrumentors.openai.instrumentor import OpenAIInstrumentor
from tests.support.openai.clients import MADE, USER, client
from tests.support.openai.scripted_server import HELLO, Answer, completion, scripted
from tests.support.openai.transport import HTTP

if TYPE_CHECKING:
    import pytest

CALL_ROWS = [row for row in OpenAIInstrumentor.rows if isinstance(row, CallRow)]
PREFIX = "otel-genai met an error of its own; your application is not affected, but "


class Bug(Exception):
    """An error in code of ours."""


def broken(*_: Any, **__: Any) -> Any:
    raise Bug


class BrokenAdd:
    """A fold whose `add` raises."""

    def __init__(self, *_: Any) -> None:
        pass

    add = broken

    def response(self) -> Any:
        return otel_genai.operation.Response()

    def tokens(self) -> tuple[int, ...]:
        return ()


class BrokenResponse(BrokenAdd):
    """A fold whose `response` raises."""

    def add(self, _: Any) -> bool:
        return False

    response = broken


def warnings_by_text(caplog: pytest.LogCaptureFixture) -> dict[str, list[str]]:
    """Text of a warning, without its prefix → the levels at which it was logged."""
    levels: dict[str, list[str]] = {}
    for record in caplog.records:
        if record.name == "otel_genai" and " is off: " not in record.msg:  # of a library that is not installed
            assert record.exc_info is not None
            assert record.exc_info[0] is Bug
            levels.setdefault(record.getMessage().removeprefix(PREFIX), []).append(record.levelname)
    return levels


def assert_one_warning_each(caplog: pytest.LogCaptureFixture, *expected: str) -> None:
    """Assert that each text was logged: first at WARNING, then at DEBUG."""
    found = warnings_by_text(caplog)
    assert set(found) == set(expected)
    for levels in found.values():
        assert levels == ["WARNING"] + ["DEBUG"] * (len(levels) - 1)


BODY = {
    "id": "1",
    "object": "x",
    "created": 1,
    "model": "m",
    "choices": [],
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "output": [],
}
EVENTS = b"".join(b"data: %s\n\n" % json.dumps({"type": "x", **BODY}).encode() for _ in range(3)) + b"data: [DONE]\n\n"


# In a JSON body, a form or a query.
REQUESTS_STREAM = re.compile(rb'"stream": ?true|name="stream"\s+true|stream=true')


class Calls:
    """Calls of both clients over a transport that answers at once."""

    def __init__(self) -> None:
        self.failing = False
        transport = HTTP.MockTransport(self.answer)
        MADE.append(
            openai.OpenAI(
                base_url="http://127.0.0.1/v1",
                api_key="sk-secret",
                max_retries=0,
                http_client=openai.DefaultHttpxClient(transport=transport),
            )
        )
        self.sync = MADE[-1]
        self.asynchronous = openai.AsyncOpenAI(
            base_url="http://127.0.0.1/v1",
            api_key="sk-secret",
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(transport=transport),
        )

    def answer(self, request: Any) -> Any:
        if self.failing:
            return HTTP.Response(500, json={"error": {"code": "oops"}})
        if REQUESTS_STREAM.search(request.read() + str(request.url).encode()):
            return HTTP.Response(200, headers={"content-type": "text/event-stream"}, content=EVENTS)
        return HTTP.Response(200, json=BODY)

    def result(self, row: CallRow, *, stream: bool = False) -> Any:
        """The result of a row's call in a form that compares equal; a stream is read."""
        owner, _, method = row.target.partition(".")
        client = self.asynchronous if row.awaits else self.sync
        call = getattr(getattr(importlib.import_module(row.module), owner)(client), method)
        parameters = inspect.signature(call).parameters
        uploads = UPLOADS if row.module.startswith(("openai.resources.images", "openai.resources.audio")) else {}
        arguments: dict[str, Any] = {name: value for name, value in (ARGUMENTS | uploads).items() if name in parameters}
        if stream:
            arguments["stream"] = True
        return asyncio.run(awaited(call(**arguments))) if row.awaits else plain(call(**arguments))


ARGUMENTS: dict[str, Any] = {
    "model": "m",
    "messages": USER,
    "input": "hello",
    "prompt": "hello",
    "voice": "alloy",
    "response_id": "resp_1",
}
UPLOADS: dict[str, Any] = {"file": b"RIFF", "image": b"PNG"}


def plain(result: Any) -> tuple[type, Any]:
    if hasattr(type(result), "__next__"):
        return result.__class__, [plain(chunk) for chunk in result]
    return type(result), result.to_dict() if isinstance(result, openai.BaseModel) else getattr(
        result, "content", result
    )


async def awaited(call: Any) -> tuple[type, Any]:
    result = await call
    if hasattr(type(result), "__anext__"):
        return result.__class__, [plain(chunk) async for chunk in result]
    return plain(result)


def streams(row: CallRow) -> bool:
    owner, _, method = row.target.partition(".")
    found = getattr(getattr(importlib.import_module(row.module), owner, None), method, None)
    parameters = inspect.signature(found).parameters if found else {}
    return "stream" in parameters and method != "parse"  # `parse` has the parameter and cannot stream


def exists(row: CallRow) -> bool:
    try:
        module = importlib.import_module(row.module)
    except ImportError:
        return False
    owner, _, method = row.target.partition(".")
    return hasattr(getattr(module, owner, None), method)


ROWS = [row for row in CALL_ROWS if exists(row)]
STREAMING_ROWS = [row for row in ROWS if streams(row)]


def row_name(row: CallRow) -> str:
    return f"{row.module.removeprefix('openai.resources.')}:{row.target}"


def call_and_stream() -> None:
    """One call and one stream; the application gets the complete results."""
    with scripted(Answer(completion()), Answer(events=HELLO)) as server:
        completions = client(server).chat.completions
        answer = completions.create(model="gpt-4o", messages=USER)
        assert answer.choices[0].message.content == "Hello!"
        stream = completions.create(model="gpt-4o", messages=USER, stream=True)
        assert isinstance(stream, openai.Stream)
        assert [chunk.id for chunk in stream] == ["chatcmpl-1"] * 5
