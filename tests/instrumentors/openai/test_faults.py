"""Every function of ours that can raise, raising, for every row of the table: the application does not notice."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import logging
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode

import otel_genai
from otel_genai.endpoint.rows import CallRow, RequestHeadersRow, ResponseHeadersRow
from otel_genai.guard import Guard
from otel_genai.instrumentors.openai.instrumentor import OpenAIInstrumentor
from otel_genai.telemetry import render
from tests.support.openai.clients import CAPTURE, MADE, USER, client
from tests.support.openai.scripted_server import HELLO, Answer, completion, scripted
from tests.support.providers import Recorded, attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HTTP: Any = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
PATCHES = [row for row in OpenAIInstrumentor.rows if isinstance(row, CallRow)]
LOST = "otel-genai met an error of its own; your application is not affected, but "

pytestmark = [pytest.mark.usefixtures("_lenient"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


class Bug(Exception):
    """One of ours."""


def broken(*_: Any, **__: Any) -> Any:
    raise Bug


class BrokenAdd:
    """A fold that takes nothing in."""

    def __init__(self, *_: Any) -> None:
        pass

    add = broken

    def response(self) -> Any:
        return otel_genai.operation.Response()

    def tokens(self) -> tuple[int, ...]:
        return ()


class BrokenResponse(BrokenAdd):
    """A fold that has nothing to say."""

    def add(self, _: Any) -> bool:
        return False

    response = broken


@pytest.fixture(autouse=True)
def _as_if_new(_lenient: None) -> None:
    """Guards that have not warned yet."""
    for name, module in list(sys.modules.items()):
        if name.startswith("otel_genai"):
            for value in vars(module).values():
                if isinstance(value, Guard):
                    value._warned = False


def lost(caplog: pytest.LogCaptureFixture) -> dict[str, list[str]]:
    """What was lost → the levels at which that was logged."""
    levels: dict[str, list[str]] = {}
    for record in caplog.records:
        if record.name == "otel_genai" and " is off: " not in record.msg:  # of a library that is not installed
            assert record.exc_info is not None
            assert record.exc_info[0] is Bug
            levels.setdefault(record.getMessage().removeprefix(LOST), []).append(record.levelname)
    return levels


def once_loudly(caplog: pytest.LogCaptureFixture, *expected: str) -> None:
    """These things were lost, each with one warning, and all later ones at DEBUG."""
    found = lost(caplog)
    assert set(found) == set(expected)
    for levels in found.values():
        assert levels == ["WARNING"] + ["DEBUG"] * (len(levels) - 1)


# ── a way to call every row ────────────────────────────────────────────────────────────────────────────────────────────

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
# In JSON, in a form, in a query.
ASKS_FOR_STREAM = re.compile(rb'"stream": ?true|name="stream"\s+true|stream=true')


class Ways:
    """The client's resources by class, over a transport that answers everything at once."""

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
        if ASKS_FOR_STREAM.search(request.read() + str(request.url).encode()):
            return HTTP.Response(200, headers={"content-type": "text/event-stream"}, content=EVENTS)
        return HTTP.Response(200, json=BODY)

    def ask(self, row: CallRow, *, stream: bool = False) -> Any:
        """What the application gets of a row's call, in a form that can be compared: streams are read."""
        owner, _, method = row.target.partition(".")
        client = self.asynchronous if row.awaits else self.sync
        call = getattr(getattr(importlib.import_module(row.module), owner)(client), method)
        known = inspect.signature(call).parameters
        uploads = UPLOADS if row.module.startswith(("openai.resources.images", "openai.resources.audio")) else {}
        given: dict[str, Any] = {name: value for name, value in (EVERYTHING | uploads).items() if name in known}
        if stream:
            given["stream"] = True
        return asyncio.run(awaited(call(**given))) if row.awaits else plain(call(**given))


EVERYTHING: dict[str, Any] = {
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
    return "stream" in parameters and method != "parse"  # which takes it, and cannot do it


def exists(row: CallRow) -> bool:
    try:
        module = importlib.import_module(row.module)
    except ImportError:
        return False
    owner, _, method = row.target.partition(".")
    return hasattr(getattr(module, owner, None), method)


ROWS = [row for row in PATCHES if exists(row)]
STREAMING_ROWS = [row for row in ROWS if streams(row)]


def named(row: CallRow) -> str:
    return f"{row.module.removeprefix('openai.resources.')}:{row.target}"


@pytest.fixture
def sabotage(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Ways]]:
    """Instrument with some of every endpoint's functions replaced, content on, and give the ways to call."""
    monkeypatch.setenv(CAPTURE, "SPAN_AND_EVENT")

    def with_bugs(**functions: Any) -> Ways:
        rows = [
            row._replace(endpoint=replace(row.resolve(), **functions)) if isinstance(row, CallRow) else row
            for row in OpenAIInstrumentor.rows
        ]
        monkeypatch.setattr(OpenAIInstrumentor, "rows", tuple(rows))
        otel_genai.instrument(**recorded.providers)
        return Ways()

    yield with_bugs
    otel_genai.uninstrument()


# ── adapters ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_rows_that_are_tested_are_the_table() -> None:
    # What an older client does not have at all is another test's business.
    missing = [row for row in PATCHES if row not in ROWS and not row.optional]
    assert [named(row) for row in missing if row.module in sys.modules] == []
    assert len(STREAMING_ROWS) >= 4


WHOLE = [
    ("request", "a span lacks its request's attributes"),
    ("prompt", "a span lacks its prompt"),
    ("response", "a span lacks its response's attributes"),
    ("unparsed", "a stream is reported without its chunks"),
]
PIECES = [
    ("fold", broken, "a span lacks its response's attributes"),
    ("fold", BrokenAdd, "a span lacks part of a streamed response"),
    ("fold", BrokenResponse, "a span lacks its response's attributes"),
    ("request", broken, "a span lacks its request's attributes"),
]


@pytest.mark.parametrize("row", ROWS, ids=named)
@pytest.mark.parametrize("fault", WHOLE, ids=[function for function, _ in WHOLE])
def test_a_call_with_a_bug_in_its_adapter(
    recorded: Recorded,
    sabotage: Callable[..., Ways],
    caplog: pytest.LogCaptureFixture,
    row: CallRow,
    fault: tuple[str, str],
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    function, what = fault
    unhindered = Ways().ask(row)
    ways = sabotage(**{function: broken})
    assert [ways.ask(row), ways.ask(row)] == [unhindered] * 2
    spans = recorded.spans(2)
    assert [attribute(span, "gen_ai.operation.name") for span in spans] == [row.resolve().default.operation] * 2
    assert {span.status.status_code for span in spans} == {StatusCode.UNSET}
    once_loudly(caplog, what)


@pytest.mark.parametrize("row", STREAMING_ROWS, ids=named)
@pytest.mark.parametrize("fault", PIECES, ids=["fold", "add", "fold.response", "request"])
def test_a_stream_with_a_bug_in_its_adapter(
    recorded: Recorded,
    sabotage: Callable[..., Ways],
    caplog: pytest.LogCaptureFixture,
    row: CallRow,
    fault: tuple[str, Any, str],
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    function, bug, what = fault
    unhindered = Ways().ask(row, stream=True)
    ways = sabotage(**{function: bug})
    assert [ways.ask(row, stream=True), ways.ask(row, stream=True)] == [unhindered] * 2
    assert [span.status.status_code for span in recorded.spans(2)] == [StatusCode.UNSET] * 2
    once_loudly(caplog, what)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_an_error_with_a_bug_in_its_adapter(
    recorded: Recorded, sabotage: Callable[..., Ways], caplog: pytest.LogCaptureFixture, row: CallRow
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    ways = sabotage(failure=broken)
    ways.failing = True
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            ways.ask(row)
    assert [attribute(span, "error.type") for span in recorded.spans(2)] == ["openai.InternalServerError"] * 2
    once_loudly(caplog, "an error is reported by its class alone")


@pytest.mark.parametrize(
    ("sabotaged", "what"),
    [
        (
            lambda row: row._replace(headers=broken) if isinstance(row, RequestHeadersRow) else row,
            "a request does not carry the trace context",
        ),
        (
            lambda row: row._replace(response="no such keyword") if isinstance(row, ResponseHeadersRow) else row,
            "the model is reported as the response's body has it",
        ),
    ],
    ids=["RequestHeadersRow", "ResponseHeadersRow"],
)
def test_a_request_with_a_bug_on_its_way(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    sabotaged: Callable[[Any], Any],
    what: str,
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    monkeypatch.setattr(OpenAIInstrumentor, "rows", tuple(map(sabotaged, OpenAIInstrumentor.rows)))
    otel_genai.instrument(**recorded.providers)
    hello()
    otel_genai.uninstrument()
    assert len(recorded.spans(2)) == 2
    once_loudly(caplog, what)


# ── writers ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def hello() -> None:
    """One call and one stream, of which the application gets everything."""
    with scripted(Answer(completion()), Answer(events=HELLO)) as server:
        completions = client(server).chat.completions
        answer = completions.create(model="gpt-4o", messages=USER)
        assert answer.choices[0].message.content == "Hello!"
        stream = completions.create(model="gpt-4o", messages=USER, stream=True)
        assert isinstance(stream, openai.Stream)
        assert [chunk.id for chunk in stream] == ["chatcmpl-1"] * 5


UNREPORTED = "a call is not reported"
NO_ATTRIBUTES = "a span lacks its attributes"
NO_CONTENT = "a span lacks its prompt and answer"
NO_EVENT = "an operation has no event"
NO_METRICS = "an operation is missing from the metrics"


@pytest.mark.parametrize(
    ("function", "what"),
    [
        ("span_name", UNREPORTED),
        ("creation_attributes", UNREPORTED),
        ("outcome_attributes", NO_ATTRIBUTES),
        ("content", NO_CONTENT),
        ("measurements", NO_METRICS),
    ],
)
def test_a_bug_in_the_rendering(
    capturing: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    function: str,
    what: str,
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    monkeypatch.setattr(render, function, broken)
    hello()
    assert len(capturing.spans(0 if what is UNREPORTED else 2)) == (0 if what is UNREPORTED else 2)
    once_loudly(caplog, what)


@pytest.mark.parametrize(
    ("method", "what"),
    [("set_attributes", {NO_ATTRIBUTES, NO_CONTENT}), ("end", {"a span was not ended"})],
)
def test_a_span_that_raises(
    capturing: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    what: set[str],
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    from opentelemetry.sdk.trace import Span

    monkeypatch.setattr(Span, method, broken)
    hello()
    assert len(capturing.spans(0 if method == "end" else 2)) == (0 if method == "end" else 2)
    once_loudly(caplog, *what)
    (duration,) = capturing.metrics()["gen_ai.client.operation.duration"]
    assert duration.count == 2


def test_a_failed_span_whose_attributes_cannot_be_made_still_says_that_it_failed(
    capturing: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "outcome_attributes", broken)
    with scripted(Answer({}, status=500)) as server, pytest.raises(openai.InternalServerError):
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    assert capturing.span().status.description == "InternalServerError 500"


def test_a_span_whose_status_cannot_be_set(
    capturing: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from opentelemetry.sdk.trace import Span

    monkeypatch.setattr(Span, "set_status", broken)
    with scripted(Answer({}, status=500)) as server, pytest.raises(openai.InternalServerError):
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    assert attribute(capturing.span(), "error.type") == "openai.InternalServerError"
    once_loudly(caplog, "a span does not say that it failed")


def test_a_tracer_and_a_processor_that_raise(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")

    class Processor:
        on_start = on_end = broken

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Processor())  # type: ignore[arg-type]
    otel_genai.instrument(**{**recorded.providers, "tracer_provider": provider})
    hello()
    otel_genai.uninstrument()
    once_loudly(caplog, UNREPORTED)


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("opentelemetry.sdk.metrics._internal.instrument._Histogram.record", NO_METRICS),
        ("opentelemetry.sdk._logs._internal.Logger.emit", NO_EVENT),
    ],
)
def test_a_writer_that_raises(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, target: str, what: str
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    monkeypatch.setenv(CAPTURE, "true")
    monkeypatch.setattr(target, broken)
    otel_genai.instrument(**recorded.providers)
    hello()
    otel_genai.uninstrument()
    monkeypatch.undo()
    assert [attribute(span, "gen_ai.response.id") for span in recorded.spans(2)] == ["chatcmpl-1"] * 2
    once_loudly(caplog, what)


def test_nothing_of_ours_is_swallowed_while_tests_are_strict(
    instrumented: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Guard, "strict", True)
    monkeypatch.setattr(render, "outcome_attributes", broken)
    with pytest.raises(Bug):
        hello()
