"""Failures in OpenAI's shape: those that a request has earned, and those that the simulator deals out on purpose."""

from __future__ import annotations

import random
from typing import Any


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",  # noqa: A002 - OpenAI's name for it
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"message": message, "type": type, "param": param, "code": code}}


def unknown_model(model: str) -> ApiError:
    """For a model that is not served here."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return ApiError(message, status=404, param="model", code="model_not_found")


class Faults:
    """Fails a share of the requests, chosen by a random number generator of its own: the same seed, the same choice."""

    def __init__(self, *, rate: float, seed: int) -> None:
        self._rate = rate
        self._draw = random.Random(seed)  # noqa: S311 - no secret here

    def next(self) -> ApiError | None:
        """The fault that meets the next request, if any."""
        # Two draws whatever happens: a request's luck then depends on its number alone, not on the rate.
        fails, limited = self._draw.random() < self._rate, self._draw.random() < 0.5
        if not fails:
            return None
        if limited:
            return ApiError("Rate limit reached.", status=429, type="requests", code="rate_limit_exceeded")
        message = "The server had an error while processing your request. Sorry about that!"
        return ApiError(message, status=500, type="server_error")
