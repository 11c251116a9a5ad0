"""A model server without a model."""

from __future__ import annotations

from otel_genai.simulator.in_process import serve

__all__ = ["serve"]
