"""Server-sent events are decoded wherever their bytes are cut."""

from __future__ import annotations

import pytest

from otel_genai.http.sse import EventDecoder

STREAM = b'event: delta\ndata: {"a":\ndata: 1}\n\n: a comment\r\n\r\ndata:two\r\n\r\ndata: not ended'


@pytest.mark.parametrize("size", [1, 2, 7, len(STREAM)])
def test_the_data_of_each_complete_event_is_decoded_once(size: int) -> None:
    decoder = EventDecoder()
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    assert [data for piece in pieces for data in decoder.decode(piece)] == [b' {"a":\n 1}', b"two"]
