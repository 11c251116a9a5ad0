"""Switches instrumentations on and off; one folder for each library."""

from __future__ import annotations

from otel_genai.instrumentors.instrument import instrument, uninstrument

__all__ = ["instrument", "uninstrument"]
