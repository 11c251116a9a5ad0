"""Failures in OpenAI's shape."""

from __future__ import annotations

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


def too_long(tokens: int, longest: int) -> ApiError:
    """For a prompt that leaves no room for an answer."""
    message = (
        f"This model's maximum context length is {longest} tokens. However, your messages resulted in {tokens} tokens. "
        "Please reduce the length of the messages."
    )
    return ApiError(message, code="context_length_exceeded")


def loading() -> ApiError:
    """For everything that comes before the model has been loaded."""
    return ApiError("The model is still loading.", status=503, type="server_error", code="model_loading")
