"""A tap on an HTTP response of httpx: a call receives the body's bytes while the application reads them in its own way."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from otel_genai.call import stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_genai.call.listener import Listener


def tap(http: Any, call: Listener, on_piece: Callable[[bytes], None]) -> None:
    """Give `on_piece` every piece of the body that is read. Closing the response ends the call.

    All ways of reading a response go through `iter_bytes` or `aiter_bytes` (httpx 0.28 `_models.py`), which are shadowed on this one
    response. The shadows go when the response is closed; httpx closes it at the end of its body.
    """

    def reading(name: str) -> Callable[..., Any]:
        read = getattr(http, name)
        return lambda *args, **kwargs: stream.proxy(read(*args, **kwargs), call, on_piece)

    def closing(name: str) -> Callable[[], Any]:
        close = getattr(http, name)

        def closed() -> Any:
            for shadow in shadows:
                vars(http).pop(shadow, None)
            # httpx itself closes a response when no more bytes come; the last piece may still be on its way to the application.
            return close() if call.is_current() else stream.close_and_finish(close, call)

        return closed

    shadows = {name: reading(name) for name in ("iter_bytes", "aiter_bytes")}
    shadows |= {name: closing(name) for name in ("close", "aclose")}
    vars(http).update(shadows)
    # An application that drops a response without reading it does not close it. At exit, open calls are ended anyway.
    weakref.finalize(http, call.abandon).atexit = False
