"""The files of the package that a streamed chat visits, in the order of their first function, recorded from a real call."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import otel_genai
from docs.generate.markdown import table
from tests.support.openai.clients import USER
from tests.support.openai.scripted_server import HELLO
from tests.support.openai.transport import client_of_events
from tests.support.providers import Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_PACKAGE: Final = Path(otel_genai.__file__).parent
_OPENING: Final = "`create(stream=True)`"
_CHUNK: Final = "one chunk"
_END: Final = "the end of the stream"


def visited_files() -> dict[str, dict[str, str]]:
    """Part of the call → file → its first function there. The first call is not recorded: it imports and caches."""
    otel_genai.instrument(**Recorded().providers)
    try:
        with client_of_events(*HELLO) as client:
            _call(client)
            return _call(client)
    finally:
        otel_genai.uninstrument()


def _call(client: Any) -> dict[str, dict[str, str]]:
    stream, opening = _files_of(lambda: client.chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    _, chunk = _files_of(lambda: next(stream))
    _, end = _files_of(lambda: list(stream))
    return {_OPENING: opening, _CHUNK: chunk, _END: {file: name for file, name in end.items() if file not in chunk}}


def _files_of(action: Callable[[], Any]) -> tuple[Any, dict[str, str]]:
    visited: dict[str, str] = {}

    def profile(frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(_PACKAGE):
            visited.setdefault(path.relative_to(_PACKAGE).as_posix(), frame.f_code.co_qualname)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        result = action()
    finally:
        sys.setprofile(before)
    return result, visited


def trip() -> Iterator[str]:
    """A row a file, and the number of files that the opening visits."""
    parts = visited_files()
    rows = (
        (part if place == 0 else "", f"`{file}`", f"`{name}`")
        for part, files in parts.items()
        for place, (file, name) in enumerate(files.items())
    )
    yield from table(("Part", "File", "First function"), rows)
    yield from ("", f"The opening visits {len(parts[_OPENING])} files.")
