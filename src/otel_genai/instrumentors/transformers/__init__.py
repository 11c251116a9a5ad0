"""Hugging Face transformers."""

from __future__ import annotations

from otel_genai.instrumentors.transformers.instrumentor import TransformersInstrumentor

__all__ = ["TransformersInstrumentor"]
