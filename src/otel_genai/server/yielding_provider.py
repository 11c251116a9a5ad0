"""The mark of a tracer provider that sends its spans nowhere. It stands apart, so that whoever sets a provider up imports nothing else."""

from __future__ import annotations

from typing import Final

YIELDS_TO_LIBRARY: Final = "otel_genai_yields_to_library"
"""Attribute of a tracer provider in whose place a library may set one of its own."""
