"""The example `chat_app` in a real browser, under the runner: user actions, displayed text, and the linked trace."""

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
    """The app in front of the simulator; only turns of the page are traced."""
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
    """The page, in front of a server whose answers the test scripts."""
    return opened(browser, served[0])


def trace_of(chat: Page) -> str:
    """The id of the trace of the last link."""
    chat.wait_for("document.querySelector('article:last-of-type .trace')")
    href: str = chat.evaluate("document.querySelector('article:last-of-type .trace').href")
    return href.removeprefix(TRACE_URL.removesuffix("{trace_id}"))


def spans_of(collector: Received, trace: str) -> list[Span]:
    """The spans of a trace, once its SERVER span, which ends last, has arrived."""
    while True:
        count = len(collector.spans)
        found = [span for span in collector.spans if span.trace_id.hex() == trace]
        if any(span.kind == Span.SPAN_KIND_SERVER for span in found):
            return found
        assert collector.wait_for_spans(count + 1, patience=PATIENCE_S)


# ── a turn, and its trace ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_is_streamed_and_links_to_its_trace(
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
    # Requests for the page, its files and its settings are not traced.
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


def test_model_output_is_rendered_as_text(chat: Page, model: ScriptedServer) -> None:
    hostile = "<img src=x onerror=\"document.title='taken'\">\nTwo\n\n  lines & <b>more</b>"
    call = {"index": 0, "id": "1", "function": {"name": "<i>weather", "arguments": hostile}}
    model.answers = [
        Answer(events=[chunk(delta(tool_calls=[call])), chunk(delta(finish_reason="tool_calls"))]),
        Answer(events=[chunk(delta(content=hostile)), chunk(delta(finish_reason="stop"))]),
    ]
    say(chat, "<b>Hello</b>")
    wait_until_answered(chat)
    assert chat.texts("article i, article b, article img") == ["", "", ""]  # the three dots of the waiting animation
    assert chat.texts(".question") == ["<b>Hello</b>"]
    assert chat.texts(".said") == [hostile]
    assert chat.evaluate("document.title") == "Chat"
    assert chat.complaints == []


def test_a_chunk_of_any_length_is_shown(chat: Page, model: ScriptedServer) -> None:
    piece = 30_000 * "a long piece "
    model.answers = [Answer(events=[chunk(delta(content=piece)), chunk(delta(finish_reason="stop"))])]
    say(chat, "Hello")
    wait_until_answered(chat)
    assert chat.evaluate("document.querySelector('.said').textContent") == piece


def test_a_truncated_answer_is_marked(chat: Page, model: ScriptedServer) -> None:
    model.answers = [Answer(events=[*HELLO[:3], chunk(delta(finish_reason="length"))])]
    say(chat, "Hello")
    wait_until_answered(chat)
    assert note(chat) == "gpt-4o · 0 tokens, cut off there"


def test_the_page_scrolls_with_the_answer_unless_the_user_scrolled_up(chat: Page, model: ScriptedServer) -> None:
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
    # The scroll event arrives with the next frame.
    chat.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    last.set()
    wait_until_answered(chat)
    assert chat.evaluate("document.querySelector('main').scrollTop") == 100
    say(chat, "Hello again")
    chat.wait_for(AT_THE_END)
    wait_until_answered(chat, 2)


# ── the keyboard ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_works_with_the_keyboard_alone(chat: Page, model: ScriptedServer) -> None:
    model.answers = [Answer(events=HELLO)]
    # The send button is disabled for an empty message, so Tab skips it.
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


def test_an_example_fills_the_text_box(chat: Page) -> None:
    chat.press("Tab", shift=True)
    assert chat.focus() == "Why is the sky blue?"
    chat.press("Enter")
    assert chat.focus() == "text"
    assert chat.evaluate("document.querySelector('#text').value") == "Why is the sky blue?"
    assert chat.evaluate("document.querySelector('#send').disabled") is False
    assert chat.texts("article") == []


@pytest.mark.parametrize("how", ["Escape", "button"])
def test_a_stopped_answer_keeps_its_text(how: str, chat: Page, model: ScriptedServer) -> None:
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
    # The text typed during the answer is still in the box.
    chat.press("Enter")
    wait_until_answered(chat, 2)
    assert model.received[1].body["messages"] == [
        {"role": "user", "content": "Say hello"},
        {"role": "assistant", "content": "Hel"},
        {"role": "user", "content": "Meanwhile"},
    ]
    assert chat.complaints == []


def test_a_turn_stopped_before_its_answer_can_be_retried(chat: Page, model: ScriptedServer) -> None:
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


def test_a_new_chat_drops_the_aborted_answer(chat: Page, model: ScriptedServer) -> None:
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


# ── failures ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (TOO_MANY, "The model server is overloaded (429)."),
        (FAILED, "The model server failed (500)."),
        (Answer(events=[*HELLO[:2], CUT]), "There is no connection to the model server."),
        (Answer(events=HELLO[:2]), "The answer ended early."),
    ],
    ids=["429", "500", "lost", "without an end"],
)
def test_a_failed_turn_shows_its_reason_and_can_be_retried(
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


def test_an_unreachable_server_and_an_unreachable_app_are_told_apart(browser: Page) -> None:
    variables = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "gpt-4o", "TRACE_URL": TRACE_URL}
    with chat_app(PYTHON, **variables) as address:
        chat = opened(browser, address)
        say(chat, "Hello")
        wait_until_answered(chat)
        assert note(chat) == "There is no connection to the model server. Try again Trace"
    say(chat, "Hello again")
    wait_until_answered(chat, 2)
    # A turn that did not reach the app has no trace.
    assert note(chat) == "The chat app cannot be reached. Try again"
    # Only the last turn can be retried: an older one would come after newer messages.
    assert len(chat.texts(".again")) == 1
    assert chat.texts(".question") == ["Hello", "Hello again"]


def test_an_app_that_ends_during_an_answer(browser: Page) -> None:
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
    # The text box is visible at the bottom.
    assert chat.evaluate("document.querySelector('form').getBoundingClientRect().bottom") == 844
    assert (
        json.loads(chat.evaluate("getComputedStyle(document.querySelector('#text')).fontSize").removesuffix("px")) >= 16
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(scheme: str, chat: Page, model: ScriptedServer) -> None:
    model.answers = [FAILED]
    chat.show_as(scheme=scheme)
    say(chat, "Hello")
    wait_until_answered(chat)
    for selector in ("body", ".question", ".note", ".again", "#keys", "#new"):
        assert chat.contrast(selector) >= 4.5, selector
