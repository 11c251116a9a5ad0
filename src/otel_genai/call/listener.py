"""Listeners: a call, as the objects see it that report to it. They import none of its code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context


class Listener(Protocol):
    """A call, as a stream sees it."""

    def enter(self) -> Token[Context]:
        """Make the call's span current, because the library is about to work. `leave` takes the token."""

    def leave(self, token: Token[Context], error: BaseException | None = None) -> None:
        """Restore the context of before. An `error` that the library raised ends the call."""

    def is_current(self) -> bool:
        """Whether the library works for this call right now, as opposed to the application."""

    def finish(self) -> None:
        """The stream was read to its end, or its consumer closed it."""

    def abandon(self) -> None:
        """The application dropped the stream."""


class BodyListener(Listener, Protocol):
    """A call, as the body of an HTTP response sees it."""

    def chunk(self, chunk: Any) -> None:
        """The application has read an event of a streamed body."""

    def piece(self, piece: bytes) -> None:
        """The application has read a part of a JSON document."""


class StreamerListener(Protocol):
    """A call, as a streamer sees it to which the library pushes chunks."""

    def chunk(self, chunk: Any) -> None:
        """A chunk was pushed."""

    def consumed(self) -> None:
        """The application's streamer has returned: from now on the library works on the next chunk."""
