"""The mark of a tracer provider that a library may replace; in a file of its own, so that code which sets providers imports little."""

from __future__ import annotations

from typing import Final

YIELDS_TO_LIBRARY: Final = "otel_genai_yields_to_library"
"""Attribute of a tracer provider that exports nothing, and in whose place a library may set its own."""
