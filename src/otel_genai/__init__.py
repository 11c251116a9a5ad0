"""OpenTelemetry instrumentation for GenAI clients and servers."""

__version__ = "0.1.0.dev0"
