"""The life of a call: how it is found, begun, followed and ended. Nothing is imported here, so that only what is used is paid for."""

from __future__ import annotations

from typing import Final

# Here, because whoever sets a provider up must not import what comes with a call.
GIVES_WAY: Final = "otel_genai_gives_way"
"""An attribute of a tracer provider that sends its spans nowhere, so that a library may well set one of its own."""
