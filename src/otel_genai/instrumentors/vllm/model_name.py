"""What a served model is called."""

from __future__ import annotations

from typing import Any

from otel_genai.instrumentors.transformers.model_name import readable


def model_name(engine: Any) -> str | None:
    """The name under which an engine, or whoever has a `model_config` or a `vllm_config`, serves its model; `None` if it has none."""
    config = getattr(engine, "model_config", None) or getattr(
        getattr(engine, "vllm_config", None), "model_config", None
    )
    served = getattr(config, "served_model_name", None)
    if isinstance(served, list | tuple):
        served = served[0] if served else None
    model = getattr(config, "model", None)
    # Where the user gave no name, the model's own takes its place, which may be a path of this machine.
    return str(served) if served and served != model else readable(model)
