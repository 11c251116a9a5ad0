"""Figures from finished operations, kept and shown. Knows the vocabulary and nothing of OpenTelemetry."""
