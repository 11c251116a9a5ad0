"""The example `chat_app`, served as people serve it, by a process of its own."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.support.processes import ENVIRONMENT, PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.browser.chromium import Page

FOLDER = Path(__file__).parents[3] / "examples" / "chat_app"
_COMMAND = ("-m", "uvicorn", "--app-dir", str(FOLDER), "--port", "0", "--timeout-graceful-shutdown", "1", "app:app")


@contextmanager
def chat_app(launcher: Sequence[str], **variables: str) -> Iterator[str]:
    """The app on a free port of the loopback interface, until the block is left, which ends it with SIGTERM; gives its address.

    Answers that are under way by then are cut off.
    """
    with subprocess.Popen(
        [*launcher, *_COMMAND],
        env=ENVIRONMENT | {"OPENAI_API_KEY": "unused", "PYTHONDONTWRITEBYTECODE": "1"} | variables,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            said = ""
            while not (found := re.search(r"running on (http://\S+)", said)):
                line = process.stderr.readline()
                assert line, said
                said += line
            # A pipe that nobody empties would stop the app in the end.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield found[1]
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def turn(address: str, body: Any) -> http.client.HTTPResponse:
    """The response to a turn, before its body has been read."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE_S)
    connection.request("POST", "/chat", json.dumps(body), {"Content-Type": "application/json", "Connection": "close"})
    return connection.getresponse()


def events(address: str, *said: str, **fields: Any) -> list[dict[str, Any]]:
    """All events of a turn."""
    messages = [{"role": "user", "content": text} for text in said]
    with turn(address, {"messages": messages, **fields}) as response:
        assert response.status == 200
        return [json.loads(line) for line in response.read().splitlines()]


# ── its page, in a browser ─────────────────────────────────────────────────────────────────────────────────────────────


def opened(browser: Page, address: str) -> Page:
    """The app's page in a window of a desktop's size, ready to be typed into."""
    browser.show_as()
    browser.complaints.clear()
    browser.open(f"{address}/")
    # The browser gives it the focus with the first frame that it draws.
    browser.wait_for("document.activeElement.id === 'text'")
    return browser


def say(chat: Page, text: str) -> None:
    """Type it and send it off."""
    chat.type(text)
    chat.press("Enter")


def wait_until_answered(chat: Page, turns: int = 1) -> None:
    """Answered, failed or stopped: the note comes last."""
    chat.wait_for(f"document.querySelectorAll('article:not(.running) .note:not(:empty)').length === {turns}")


def note(chat: Page) -> str:
    """What is said beneath the last answer."""
    return chat.texts(".note")[-1]
