"""The example `chat_app`, served by uvicorn in a process of its own, and its page in a browser."""

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
    """Serve the app on a free port of the loopback interface and yield its address. At the end of the block it gets SIGTERM.

    Unfinished responses are cut off then.
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
            log = ""
            while not (found := re.search(r"running on (http://\S+)", log)):
                line = process.stderr.readline()
                assert line, log
                log += line
            # A full pipe would block the app.
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


def events(address: str, *texts: str, **fields: Any) -> list[dict[str, Any]]:
    """All events of a turn."""
    messages = [{"role": "user", "content": text} for text in texts]
    with turn(address, {"messages": messages, **fields}) as response:
        assert response.status == 200
        return [json.loads(line) for line in response.read().splitlines()]


# ── its page, in a browser ─────────────────────────────────────────────────────────────────────────────────────────────


def opened(browser: Page, address: str) -> Page:
    """The app's page in a desktop window, with the focus in the text field."""
    browser.show_as()
    browser.complaints.clear()
    browser.open(f"{address}/")
    # The browser gives it the focus with the first frame that it draws.
    browser.wait_for("document.activeElement.id === 'text'")
    return browser


def say(chat: Page, text: str) -> None:
    """Type the text and send it."""
    chat.type(text)
    chat.press("Enter")


def wait_until_answered(chat: Page, turns: int = 1) -> None:
    """Wait until the turns are answered, failed or stopped: their notes come last."""
    chat.wait_for(f"document.querySelectorAll('article:not(.running) .note:not(:empty)').length === {turns}")


def note(chat: Page) -> str:
    """The note below the last answer."""
    return chat.texts(".note")[-1]
