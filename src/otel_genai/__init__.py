"""OpenTelemetry instrumentation for GenAI clients and servers.

    import otel_genai

    otel_genai.instrument()

switches on every instrumentation whose library is installed, and imports none of those libraries.
"""

from otel_genai.instrumentors import instrument, uninstrument
from otel_genai.telemetry import observe
from otel_genai.version import __version__

__all__ = ["__version__", "instrument", "observe", "uninstrument"]
