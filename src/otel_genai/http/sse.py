"""Server-sent events: the data of each event, from bytes that are cut anywhere (WHATWG HTML, 9.2.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MEDIA_TYPE: Final = "text/event-stream"


class EventDecoder:
    """Decodes the `data` fields of one stream of events; other fields are skipped."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """The data of every event that this piece completes; an empty line ends an event."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in map(bytes.strip, lines):
            if line.startswith(b"data:"):
                self._data.append(line.removeprefix(b"data:"))
            elif not line and self._data:
                data, self._data = b"\n".join(self._data), []
                yield data
