"""What a run waits for: the libraries that can be instrumented, and those of the functions that the user names."""

from __future__ import annotations

import os

from otel_genai.instrumentors import import_hook


def waited_for() -> frozenset[str]:
    """Top-level modules, by the environment as it is now."""
    return import_hook.instrumentable_modules(os.environ.get("OTEL_GENAI_WRAP", "").split(","))
