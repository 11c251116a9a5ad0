"""The name of a loaded model."""

from __future__ import annotations

from typing import Any

from otel_genai.instrumentors.model_names import short_name


def model_name(model: Any) -> str | None:
    """The name that a model was loaded by, without its path; `None` if it was made from a configuration."""
    return short_name(getattr(model.config, "_name_or_path", None))
