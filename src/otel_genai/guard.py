"""The only place that swallows: an error of ours is logged, and never reaches the application.

Everything that runs on our own account inside the application's call runs under a guard:

    with READING_REQUEST:
        request = endpoint.request(arguments)

Where every call or token passes, even that is too dear, and the guard is asked only when there is an error:

    try:
        fold.add(chunk)
    except Exception as error:
        if not READING_CHUNK.takes(error):
            raise

The first error at a guard is a warning that names what is lost; later ones are logged at DEBUG, so a loop cannot flood a log.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_logger = logging.getLogger("otel_genai")


class Guard:
    """A context manager that keeps errors of ours away from the application. One instance a site, shared by all threads."""

    strict = False
    """Set by the test suite: errors propagate, so that a swallowed bug is a red test."""

    __slots__ = ("_lost", "_warned")

    def __init__(self, lost: str) -> None:
        """`lost` completes the sentence "… : <what does not happen because of the error>"."""
        self._lost = lost
        self._warned = False

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return error is not None and self.takes(error)

    def takes(self, error: BaseException) -> bool:
        """Log an error, and say whether it is to go no further."""
        # KeyboardInterrupt, SystemExit and their like are the application's, wherever they strike.
        if not isinstance(error, Exception) or Guard.strict:
            return False
        _logger.log(
            logging.DEBUG if self._warned else logging.WARNING,
            "otel-genai met an error of its own; your application is not affected, but %s",
            self._lost,
            exc_info=error,
        )
        self._warned = True
        return True
