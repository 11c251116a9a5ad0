"""vLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_genai.instrumentors.registration import registered_exports

if TYPE_CHECKING:
    from otel_genai.instrumentors.vllm.instrumentor import VllmInstrumentor

__all__ = ["VllmInstrumentor"]

__getattr__ = registered_exports(__name__)
