"""The package's own simulator, as a model server."""

from __future__ import annotations

from otel_genai.instrumentors.simulator.instrumentor import SimulatorInstrumentor

__all__ = ["SimulatorInstrumentor"]
