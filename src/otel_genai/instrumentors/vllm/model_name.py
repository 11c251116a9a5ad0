"""The name of a served model."""

from __future__ import annotations

from typing import Any

from otel_genai.instrumentors.model_names import short_name


def model_name(engine: Any) -> str | None:
    """The first name under which an engine serves its model; `None` if it has none.

    `engine` is any object with a `model_config` or a `vllm_config`.
    """
    config = getattr(engine, "model_config", None) or getattr(
        getattr(engine, "vllm_config", None), "model_config", None
    )
    served = getattr(config, "served_model_name", None)
    if isinstance(served, list | tuple):
        served = served[0] if served else None
    model = getattr(config, "model", None)
    # Without a name from the user vLLM serves the model under `model`, which may be a path of this machine.
    return str(served) if served and served != model else short_name(model)
