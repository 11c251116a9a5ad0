"""Attributes that all of OpenTelemetry shares."""

from __future__ import annotations

from typing import Final

CODE_FUNCTION_NAME: Final = "code.function.name"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
EXCEPTION_TYPE: Final = "exception.type"
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

OTHER: Final = "_OTHER"
"""The value of `error.type` for an error of unknown kind."""
