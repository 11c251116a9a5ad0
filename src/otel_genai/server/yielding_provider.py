"""The mark of a tracer provider that a library may replace. It has a file of its own, so that code which sets providers imports nothing else."""

from __future__ import annotations

from typing import Final

YIELDS_TO_LIBRARY: Final = "otel_genai_yields_to_library"
"""Attribute of a tracer provider that exports nothing, and in whose place a library may set its own."""
