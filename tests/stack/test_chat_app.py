"""The example `chat_app` in a real browser, under the runner: what people do, what they see, and the trace that the page links to."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_genai.simulator import serve
from tests.support.browser.chat_app import chat_app, note, opened, say, wait_until_answered
from tests.support.browser.chromium import Page, page
from tests.support.openai.scripted_server import CUT, HELLO, Answer, ScriptedServer, chunk, delta, scripted
from tests.support.otlp.receiver import Received, receiver
from tests.support.processes import PATIENCE_S, PYTHON, RUN_AS_MODULE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("fastapi")
pytestmark = pytest.mark.stack

TRACE_URL = "http://127.0.0.1:16686/trace/{trace_id}"
FAILED = Answer(status=500, body={"error": {"message": "Sorry."}}, headers={"retry-after-ms": "1"})
TOO_MANY = Answer(status=429, body={"error": {"message": "Slow down."}}, headers={"retry-after-ms": "1"})

AT_THE_END = (
    "((log) => log.scrollTop > 0 && log.scrollTop + log.clientHeight > log.scrollHeight - 2)"
    "(document.querySelector('main'))"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with page(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def collector() -> Iterator[Received]:
    with receiver() as received:
        yield received


@pytest.fixture(scope="module")
def simulated(collector: Received) -> Iterator[str]:
    """The app in front of the simulator; only what the page asks for is traced."""
    telemetry = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    with (
        serve(models=["sim-8b"], ttft=0.05, itl=0.03) as url,
        chat_app(RUN_AS_MODULE, OPENAI_BASE_URL=url, TRACE_URL=TRACE_URL, **telemetry) as address,
    ):
        yield address


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, ScriptedServer]]:
    variables = {"OPENAI_MODEL": "gpt-4o", "OTEL_TRACES_EXPORTER": "none"}
    with scripted(Answer()) as script, chat_app(RUN_AS_MODULE, OPENAI_BASE_URL=script.url, **variables) as address:
        yield address, script


@pytest.fixture
def model(served: tuple[str, ScriptedServer]) -> ScriptedServer:
    served[1].received.clear()
    return served[1]


@pytest.fixture
def chat(browser: Page, served: tuple[str, ScriptedServer], model: ScriptedServer) -> Page:
    """The page, in front of a server that says what the test wrote."""
    return opened(browser, served[0])


def trace_of(chat: Page) -> str:
    """The id of the trace that the last link leads to."""
    chat.wait_for("document.querySelector('article:last-of-type .trace')")
    href: str = chat.evaluate("document.querySelector('article:last-of-type .trace').href")
    return href.removeprefix(TRACE_URL.removesuffix("{trace_id}"))


def spans_of(collector: Received, trace: str) -> list[Span]:
    """The spans of a trace, once the request's own is there, which ends last."""
    while True:
        count = len(collector.spans)
        found = [span for span in collector.spans if span.trace_id.hex() == trace]
        if any(span.kind == Span.SPAN_KIND_SERVER for span in found):
            return found
        assert collector.wait_for_spans(count + 1, patience=PATIENCE_S)


# ── a turn, and its trace ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_is_streamed_and_the_link_leads_to_its_trace(
    browser: Page, simulated: str, collector: Received, tmp_path: Path
) -> None:
    chat = opened(browser, simulated)
    say(chat, "What is the weather in Bergen?")
    chat.wait_for("document.querySelector('.running .said')?.textContent.length > 20")
    begun = chat.texts(".said")[0]
    wait_until_answered(chat)
    chat.wait_for("document.querySelector('.trace')")
    assert chat.texts("summary") == ['weather {"city":"Bergen"}']
    assert chat.texts(".said")[0].startswith(begun)
    assert chat.texts(".said")[0] != begun
    assert note(chat).startswith("sim-8b · ")
    assert chat.texts("#status") == chat.texts(".said")
    chat.screenshot(tmp_path / "chat.png")
    assert (tmp_path / "chat.png").read_bytes().startswith(b"\x89PNG")
    assert chat.complaints == []

    spans = {span.span_id: span for span in spans_of(collector, trace_of(chat))}
    # The page itself, its parts and its settings are no traces.
    assert len(spans) == len(collector.spans)
    (request,) = [span for span in spans.values() if span.kind == Span.SPAN_KIND_SERVER]
    calls = [span for span in spans.values() if span.kind == Span.SPAN_KIND_CLIENT]
    assert request.name == "POST /chat"
    assert len(request.parent_span_id) == 8
    assert request.parent_span_id not in spans
    assert [call.name for call in calls] == ["chat sim-8b", "chat sim-8b"]
    for call in calls:
        while call.span_id != request.span_id:
            call = spans[call.parent_span_id]  # noqa: PLW2901 - up the tree


def test_the_conversation_goes_on(chat: Page, model: ScriptedServer) -> None:
    model.answers = [Answer(events=HELLO)]
    say(chat, "Say hello")
    wait_until_answered(chat)
    say(chat, "Again")
    wait_until_answered(chat, 2)
    assert model.received[1].body["messages"] == [
        {"role": "user", "content": "Say hello"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Again"},
    ]
    chat.click("#new")
    assert chat.texts("article") == []
    say(chat, "Hello?")
    wait_until_answered(chat)
    assert model.received[2].body["messages"] == [{"role": "user", "content": "Hello?"}]
    assert chat.complaints == []


def test_what_a_model_says_is_text(chat: Page, model: ScriptedServer) -> None:
    hostile = "<img src=x onerror=\"document.title='taken'\">\nTwo\n\n  lines & <b>more</b>"
    call = {"index": 0, "id": "1", "function": {"name": "<i>weather", "arguments": hostile}}
    model.answers = [
        Answer(events=[chunk(delta(tool_calls=[call])), chunk(delta(finish_reason="tool_calls"))]),
        Answer(events=[chunk(delta(content=hostile)), chunk(delta(finish_reason="stop"))]),
    ]
    say(chat, "<b>Hello</b>")
    wait_until_answered(chat)
    assert chat.texts("article i, article b, article img") == ["", "", ""]  # the three dots of waiting
    assert chat.texts(".question") == ["<b>Hello</b>"]
    assert chat.texts(".said") == [hostile]
    assert chat.evaluate("document.title") == "Chat"
    assert chat.complaints == []


def test_a_piece_of_any_length_is_shown(chat: Page, model: ScriptedServer) -> None:
    piece = 30_000 * "a long piece "
    model.answers = [Answer(events=[chunk(delta(content=piece)), chunk(delta(finish_reason="stop"))])]
    say(chat, "Hello")
    wait_until_answered(chat)
    assert chat.evaluate("document.querySelector('.said').textContent") == piece


def test_an_answer_that_was_cut_says_so(chat: Page, model: ScriptedServer) -> None:
    model.answers = [Answer(events=[*HELLO[:3], chunk(delta(finish_reason="length"))])]
    say(chat, "Hello")
    wait_until_answered(chat)
    assert note(chat) == "gpt-4o · 0 tokens, cut off there"


def test_the_end_of_a_long_answer_is_in_sight_unless_someone_reads_further_up(
    chat: Page, model: ScriptedServer
) -> None:
    more, last = threading.Event(), threading.Event()
    page_full = chunk(delta(content=60 * "line\n"))
    model.answers = [Answer(events=[page_full, more, page_full, last, page_full, chunk(delta(finish_reason="stop"))])]
    say(chat, "Hello")
    chat.wait_for("document.querySelector('.said')?.textContent.length === 300")
    chat.wait_for(AT_THE_END)
    more.set()
    chat.wait_for("document.querySelector('.said').textContent.length === 600")
    chat.wait_for(AT_THE_END)
    chat.evaluate("document.querySelector('main').scrollTop = 100")
    # The page hears of it with the next frame.
    chat.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    last.set()
    wait_until_answered(chat)
    assert chat.evaluate("document.querySelector('main').scrollTop") == 100
    say(chat, "Hello again")
    chat.wait_for(AT_THE_END)
    wait_until_answered(chat, 2)


# ── the keyboard ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_keyboard_is_enough(chat: Page, model: ScriptedServer) -> None:
    model.answers = [Answer(events=HELLO)]
    # An empty message cannot be sent, so its button is passed over.
    chat.press("Tab")
    assert chat.focus() == "tools"
    chat.press(" ")
    assert chat.evaluate("document.querySelector('#tools').checked") is False
    chat.press("Tab", shift=True)
    assert chat.focus() == "text"
    chat.type("One")
    chat.press("Enter", shift=True)
    chat.type("Two")
    assert chat.evaluate("document.querySelector('#text').value") == "One\nTwo"
    chat.press("Enter")
    wait_until_answered(chat)
    assert chat.focus() == "text"
    assert chat.texts(".question") == ["One\nTwo"]
    assert model.received[0].body["messages"] == [{"role": "user", "content": "One\nTwo"}]
    assert "tools" not in model.received[0].body
    chat.press("Enter")
    assert len(chat.texts("article")) == 1


def test_an_example_is_put_into_the_box(chat: Page) -> None:
    chat.press("Tab", shift=True)
    assert chat.focus() == "Why is the sky blue?"
    chat.press("Enter")
    assert chat.focus() == "text"
    assert chat.evaluate("document.querySelector('#text').value") == "Why is the sky blue?"
    assert chat.evaluate("document.querySelector('#send').disabled") is False
    assert chat.texts("article") == []


@pytest.mark.parametrize("how", ["Escape", "button"])
def test_an_answer_can_be_stopped_and_what_was_said_remains(how: str, chat: Page, model: ScriptedServer) -> None:
    never = threading.Event()
    model.answers = [Answer(events=[*HELLO[:2], never]), Answer(events=HELLO)]
    say(chat, "Say hello")
    chat.wait_for("document.querySelector('.said')")
    chat.type("Meanwhile")
    chat.press("Enter")
    assert len(chat.texts("article")) == 1
    if how == "button":
        chat.click("#stop")
    else:
        chat.press(how)
    wait_until_answered(chat)
    never.set()
    assert (note(chat), chat.texts(".said")) == ("Stopped.", ["Hel"])
    assert chat.focus() == "text"
    assert chat.texts("#send") == ["Send"]
    # What was typed meanwhile has waited.
    chat.press("Enter")
    wait_until_answered(chat, 2)
    assert model.received[1].body["messages"] == [
        {"role": "user", "content": "Say hello"},
        {"role": "assistant", "content": "Hel"},
        {"role": "user", "content": "Meanwhile"},
    ]
    assert chat.complaints == []


def test_what_was_stopped_before_it_began_can_be_tried_again(chat: Page, model: ScriptedServer) -> None:
    never = threading.Event()
    model.answers = [Answer(events=[never]), Answer(events=HELLO)]
    say(chat, "Say hello")
    chat.press("Escape")
    wait_until_answered(chat)
    never.set()
    assert note(chat) == "Stopped. Try again"
    say(chat, "Hello?")
    wait_until_answered(chat, 2)
    assert model.received[-1].body["messages"] == [{"role": "user", "content": "Hello?"}]


def test_a_new_chat_knows_nothing_of_the_answer_that_it_broke_off(chat: Page, model: ScriptedServer) -> None:
    never = threading.Event()
    model.answers = [Answer(events=[*HELLO[:2], never]), Answer(events=HELLO)]
    say(chat, "Say hello")
    chat.wait_for("document.querySelector('.said')")
    chat.click("#new")
    chat.wait_for("document.querySelector('#stop').hidden")
    never.set()
    say(chat, "Hello?")
    wait_until_answered(chat)
    assert model.received[-1].body["messages"] == [{"role": "user", "content": "Hello?"}]


def test_stopping_ends_the_call_at_once(browser: Page, simulated: str, collector: Received) -> None:
    chat = opened(browser, simulated)
    chat.click("#tools")
    chat.click("#text")
    say(chat, "Why is the sky blue?")
    chat.wait_for("document.querySelector('.said')")
    chat.press("Escape")
    spans = spans_of(collector, trace_of(chat))
    (call,) = [span for span in spans if span.kind == Span.SPAN_KIND_CLIENT]
    assert {it.key: it.value.string_value for it in call.attributes}[
        "error.type"
    ] == "asyncio.exceptions.CancelledError"


# ── what goes wrong ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (TOO_MANY, "The model server has too much to do at the moment (429)."),
        (FAILED, "The model server failed (500)."),
        (Answer(events=[*HELLO[:2], CUT]), "There is no connection to the model server."),
        (Answer(events=HELLO[:2]), "The answer broke off."),
    ],
    ids=["429", "500", "lost", "without an end"],
)
def test_what_failed_says_why_and_can_be_tried_again(
    answer: Answer, words: str, chat: Page, model: ScriptedServer
) -> None:
    model.answers = [answer]
    say(chat, "Say hello")
    wait_until_answered(chat)
    assert note(chat) == f"{words} Try again"
    assert chat.texts("[role=alert]") == [words]
    assert chat.texts(".question") == ["Say hello"]
    model.received.clear()
    model.answers = [Answer(events=HELLO)]
    chat.click(".again")
    chat.wait_for("document.querySelector('.said')?.textContent === 'Hello!' && !document.querySelector('.running')")
    assert note(chat) == "gpt-4o · 3 tokens"
    assert [request.body["messages"] for request in model.received] == [[{"role": "user", "content": "Say hello"}]]
    assert chat.focus() == "text"
    assert chat.complaints == []


def test_a_server_that_is_down_and_an_app_that_is_gone(browser: Page) -> None:
    variables = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "gpt-4o", "TRACE_URL": TRACE_URL}
    with chat_app(PYTHON, **variables) as address:
        chat = opened(browser, address)
        say(chat, "Hello")
        wait_until_answered(chat)
        assert note(chat) == "There is no connection to the model server. Try again Trace"
    say(chat, "Hello again")
    wait_until_answered(chat, 2)
    # What never arrived has no trace.
    assert note(chat) == "The chat app cannot be reached. Try again"
    # An older question, tried again, would come after what was said since.
    assert len(chat.texts(".again")) == 1
    assert chat.texts(".question") == ["Hello", "Hello again"]


def test_an_app_that_ends_amid_an_answer(browser: Page) -> None:
    never = threading.Event()
    with scripted(Answer(events=[*HELLO[:2], never])) as script:
        with chat_app(PYTHON, OPENAI_BASE_URL=script.url, OPENAI_MODEL="gpt-4o") as address:
            chat = opened(browser, address)
            say(chat, "Say hello")
            chat.wait_for("document.querySelector('.said')")
        wait_until_answered(chat)
        never.set()
    assert chat.texts(".said") == ["Hel"]
    assert note(chat) == "The connection was lost. Try again"


# ── a phone, and the dark ──────────────────────────────────────────────────────────────────────────────────────────────


def test_it_fits_a_phone(chat: Page, model: ScriptedServer) -> None:
    model.answers = [Answer(events=[chunk(delta(content=200 * "long")), chunk(delta(finish_reason="stop"))])]
    chat.show_as(width=390, height=844, phone=True)
    chat.click("#text")
    say(chat, 100 * "word")
    wait_until_answered(chat)
    assert chat.evaluate("[document.documentElement.scrollWidth, document.querySelector('main').scrollWidth]") == [
        390,
        390,
    ]
    sizes = chat.evaluate("['text', 'send', 'new'].map((id) => document.getElementById(id).offsetHeight)")
    assert min(sizes) >= 44
    # The box to type in is in sight, at the bottom.
    assert chat.evaluate("document.querySelector('form').getBoundingClientRect().bottom") == 844
    assert (
        json.loads(chat.evaluate("getComputedStyle(document.querySelector('#text')).fontSize").removesuffix("px")) >= 16
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str, chat: Page, model: ScriptedServer) -> None:
    model.answers = [FAILED]
    chat.show_as(scheme=scheme)
    say(chat, "Hello")
    wait_until_answered(chat)
    for selector in ("body", ".question", ".note", ".again", "#keys", "#new"):
        assert chat.contrast(selector) >= 4.5, selector
