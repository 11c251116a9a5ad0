"""Errors in OpenAI's format."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An error that is the response to a request: HTTP `status` and JSON `body`."""

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
    """The error for a model that is not served here."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return ApiError(message, status=404, param="model", code="model_not_found")


def too_long(tokens: int, context_length: int) -> ApiError:
    """The error for a prompt that fills the whole context."""
    message = (
        f"This model's maximum context length is {context_length} tokens. However, your messages resulted in {tokens} tokens. "
        "Please reduce the length of the messages."
    )
    return ApiError(message, code="context_length_exceeded")


def loading() -> ApiError:
    """The error for every request until the model is loaded."""
    return ApiError("The model is still loading.", status=503, type="server_error", code="model_loading")
