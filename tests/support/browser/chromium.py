"""Headless Chromium, driven by keys and clicks, with the text and pixels of its page.

The DevTools protocol goes over a pipe, which needs no library.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import subprocess
import threading
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S: Final = 60.0

_KEYS: Final = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), " ": (32, " ")}
"""A key's name → its number, and the text that it types."""
_SHIFT: Final = 8

# Checked every ten milliseconds.
_UNTIL: Final = """new Promise((resolve, reject) => {
  const latest = performance.now() + %d;
  (function look() {
    if (%s) resolve();
    else if (performance.now() > latest) reject(new Error("the page shows:\\n" + document.body.innerText));
    else setTimeout(look, 10);
  })();
})"""

# The colours of the text and of its background, each as red, green and blue.
_COLORS: Final = """(at) => {
  const ink = getComputedStyle(at).color;
  while (getComputedStyle(at).backgroundColor === "rgba(0, 0, 0, 0)") at = at.parentElement;
  return [ink, getComputedStyle(at).backgroundColor].map((color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number));
}"""


class Page:
    """One page of a browser: its elements are named by CSS selectors, times are in seconds."""

    def __init__(self, commands: IO[bytes], answers: IO[bytes]) -> None:
        self.complaints: list[str] = []
        """Errors and warnings of the console, and uncaught exceptions."""
        self._commands = commands
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._session: str | None = None
        self._number = 0
        threading.Thread(target=self._listen, args=(answers,), daemon=True).start()
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._ask(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go to the address and wait until the page is loaded."""
        self._ask("Page.navigate", url=url)
        self.wait_for(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, or of the promise that it returns."""
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["result"].get("description", found["exceptionDetails"]["text"]))
        return found["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression is true; the failure has the page's text."""
        self.evaluate(_UNTIL % (PATIENCE_S * 1000, condition))

    def texts(self, selector: str) -> list[str]:
        """The visible texts of the selected elements."""
        found: list[str] = self.evaluate(
            f"Array.from(document.querySelectorAll({json.dumps(selector)}), (it) => it.innerText)"
        )
        return found

    def focus(self) -> str:
        """The id, or else the text, of the focused element."""
        found: str = self.evaluate("document.activeElement.id || document.activeElement.innerText")
        return found

    def type(self, text: str) -> None:
        """Type text, a key at a time."""
        for character in text:
            self._ask("Input.dispatchKeyEvent", type="char", text=character)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key: `Enter`, `Escape`, `Tab` or a space."""
        number, text = _KEYS[key]
        event = {"key": key, "code": key, "windowsVirtualKeyCode": number, "modifiers": _SHIFT if shift else 0}
        self._ask("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **event)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **event)

    def click(self, selector: str) -> None:
        """Click or tap the middle of an element."""
        where = self.evaluate(
            f"(({{ x, y, width, height }}) => ({{ x: x + width / 2, y: y + height / 2 }}))"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    def show_as(self, *, width: int = 1100, height: int = 760, phone: bool = False, scheme: str = "light") -> None:
        """A window of this size, in CSS pixels, with a light or a dark scheme of colors."""
        scale = 2 if phone else 1
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        self._ask("Emulation.setTouchEmulationEnabled", enabled=phone)
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def contrast(self, selector: str) -> float:
        """The contrast ratio, 1 to 21, of an element's text to its background (WCAG 2.2)."""
        colors = self.evaluate(f"({_COLORS})(document.querySelector({json.dumps(selector)}))")
        darker, lighter = sorted(map(_luminance, colors))
        return (lighter + 0.05) / (darker + 0.05)

    def screenshot(self, path: Path) -> None:
        """Write the visible part of the page as PNG."""
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        """Close the browser and all its processes."""
        self._session = None
        self._ask("Browser.close")

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        answer = self._answers.get(timeout=2 * PATIENCE_S)
        assert answer["id"] == self._number
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def _listen(self, answers: IO[bytes]) -> None:
        rest = b""
        while piece := os.read(answers.fileno(), 1 << 16):
            *messages, rest = (rest + piece).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self._answers.put(message)
                else:
                    self._note(message["method"], message["params"])

    def _note(self, method: str, parameters: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                self.complaints.append(parameters["exceptionDetails"]["exception"].get("description", "an exception"))
            case "Runtime.consoleAPICalled" if parameters["type"] in {"error", "warning"}:
                self.complaints.append(" ".join(str(argument.get("value", "")) for argument in parameters["args"]))
            case "Log.entryAdded" if parameters["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(parameters["entry"]["text"])


@contextmanager
def page(profile: Path) -> Iterator[Page]:
    """A page of a browser of its own, with an empty profile in that folder."""
    if CHROMIUM is None:
        pytest.skip("no chromium or google-chrome on the PATH")
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    command = [
        CHROMIUM,
        "--headless",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium refuses root with one
        "--disable-gpu",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={profile}",
        "--remote-debugging-pipe",
    ]
    # It reads commands from descriptor 3 and answers to 4, whatever they were here.
    shell = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out} 2>/dev/null'
    with (
        os.fdopen(ours_out, "wb") as commands,
        os.fdopen(ours_in, "rb") as answers,
        subprocess.Popen(["bash", "-c", shell, "chromium", *command], pass_fds=(theirs_in, theirs_out)) as process,
    ):
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            opened = Page(commands, answers)
            yield opened
            opened.close()
            process.wait(PATIENCE_S)
        finally:
            process.kill()


def _luminance(color: list[float]) -> float:
    shares = [part / 255 for part in color]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
