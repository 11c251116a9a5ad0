"""OpenAI's client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_genai.instrumentors.registration import registered_exports

if TYPE_CHECKING:
    from otel_genai.instrumentors.openai.instrumentor import OpenAIInstrumentor

__all__ = ["OpenAIInstrumentor"]

__getattr__ = registered_exports(__name__)
