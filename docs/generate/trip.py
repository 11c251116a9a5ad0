"""The files that open a streamed chat, in the order of their first use, read from a real call: `python -m docs.generate.trip`.

The call goes through OpenAI's client to a server on loopback. It ends when the application has its stream.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import openai

import otel_genai
from docs.generate.markdown import code, table
from tests.support.openai.clients import USER
from tests.support.openai.scripted_server import HELLO, Answer, scripted
from tests.support.providers import Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_SOURCE: Final = Path(otel_genai.__file__).parent
_COMPREHENSIONS: Final = ("<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>")


class Visit(NamedTuple):
    """One file and its functions, each in the order of its first call."""

    file: str
    """The path below `src/otel_genai`."""
    functions: tuple[str, ...]


def streamed_chat() -> tuple[Visit, ...]:
    """The files of this package between the call of `create(stream=True)` and its return, with default settings.

    The first call of a process imports modules and creates instruments; this is the second.
    """
    recorded = Recorded()
    otel_genai.instrument(**recorded.providers)
    try:
        with scripted(Answer(events=HELLO)) as server, openai.OpenAI(base_url=server.url, api_key="none") as client:
            list(client.chat.completions.create(model="gpt-4o", messages=USER, stream=True))

            def create() -> Any:
                return client.chat.completions.create(model="gpt-4o", messages=USER, stream=True)

            visits, stream = _visits(create)
            list(stream)
    finally:
        otel_genai.uninstrument()
    return visits


def trip() -> Iterator[str]:
    """The lines of the table."""
    yield from table(
        ("file", "functions, in the order of their first call"),
        ((f"`{visit.file}`", code(visit.functions)) for visit in streamed_chat()),
    )


def _visits(call: Callable[[], Any]) -> tuple[tuple[Visit, ...], Any]:
    functions: dict[str, dict[str, None]] = {}
    root = f"{_SOURCE}/"

    def on_event(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(root):
            name = frame.f_code.co_qualname
            if not name.endswith(_COMPREHENSIONS):
                file = frame.f_code.co_filename.removeprefix(root)
                functions.setdefault(file, {})[name.replace(".<locals>", "")] = None

    sys.setprofile(on_event)
    try:
        result = call()
    finally:
        sys.setprofile(None)
    return tuple(Visit(file, tuple(names)) for file, names in functions.items()), result


if __name__ == "__main__":
    print("\n".join(trip()))
