"""OpenAI's client."""

from __future__ import annotations

from otel_genai.instrumentors.openai.instrumentor import OpenAIInstrumentor

__all__ = ["OpenAIInstrumentor"]
