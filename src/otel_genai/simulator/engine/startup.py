"""The time that a model takes to load. Until it has passed, the server answers 503."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Startup:
    """Loading begins on construction and takes `seconds`."""

    def __init__(self, seconds: float = 0.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._loaded_at = clock() + seconds

    def remaining(self) -> float:
        """Seconds until the model is loaded; 0 once it is."""
        return max(0.0, self._loaded_at - self._clock())
