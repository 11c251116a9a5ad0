"""vLLM."""

from __future__ import annotations

from otel_genai.instrumentors.vllm.instrumentor import VllmInstrumentor

__all__ = ["VllmInstrumentor"]
