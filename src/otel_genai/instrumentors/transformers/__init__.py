"""Hugging Face transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_genai.instrumentors.registration import registered_exports

if TYPE_CHECKING:
    from otel_genai.instrumentors.transformers.instrumentor import TransformersInstrumentor

__all__ = ["TransformersInstrumentor"]

__getattr__ = registered_exports(__name__)
