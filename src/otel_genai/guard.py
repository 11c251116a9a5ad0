"""Guards: an error of this package is logged, and never reaches the application. No other module swallows errors.

Code of ours that runs inside the application's call runs under a guard:

    with READING_REQUEST:
        request = endpoint.request(arguments)

On hot paths (a call, a chunk, a token) the `with` block costs too much, and only an error visits the guard:

    try:
        fold.add(chunk)
    except Exception as error:
        if not READING_CHUNK.takes(error):
            raise

The first error at a guard is logged at WARNING and names the loss; later ones are logged at DEBUG, so that a loop cannot flood a log.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_logger = logging.getLogger("otel_genai")


class Guard:
    """A context manager that swallows and logs errors of this package. All threads share one instance per site."""

    strict = False
    """True in the test suite: errors propagate, so that a swallowed bug is a red test."""

    __slots__ = ("_loss", "_warned")

    def __init__(self, loss: str) -> None:
        """`loss` is a clause that completes the log message: "…, but a span lacks its prompt"."""
        self._loss = loss
        self._warned = False

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return error is not None and self.takes(error)

    def takes(self, error: BaseException) -> bool:
        """Log an error and return True; False if the error must propagate: in tests, or because it is not an `Exception`."""
        # KeyboardInterrupt, SystemExit and GeneratorExit are the application's, wherever they strike.
        if not isinstance(error, Exception) or Guard.strict:
            return False
        _logger.log(
            logging.DEBUG if self._warned else logging.WARNING,
            "otel-genai met an error of its own; your application is not affected, but %s",
            self._loss,
            exc_info=error,
        )
        self._warned = True
        return True
