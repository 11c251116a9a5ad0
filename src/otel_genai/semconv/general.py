"""Attributes that all of OpenTelemetry shares."""

from __future__ import annotations

from typing import Final

ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
