"""What a model is called."""

from __future__ import annotations

import re
from typing import Any, Final

_HUB_ID: Final = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_CACHED: Final = "models--"


def model_name(model: Any) -> str | None:
    """The name that a model was loaded by; `None` if it was made from a configuration."""
    return readable(getattr(model.config, "_name_or_path", None))


def readable(place: Any) -> str | None:
    """A model's name on the hub or its folder, as a name; `None` if there is none.

    Of a folder that is its last part, since what is before is about this machine and its users; or the name on the hub, if it is a
    folder of the hub's cache.
    """
    name = str(place or "")
    if _HUB_ID.fullmatch(name):
        return name
    parts = [part for part in re.split(r"[\\/]", name) if part]
    cached = [part for part in parts if part.startswith(_CACHED)]
    if cached:
        return cached[-1].removeprefix(_CACHED).replace("--", "/")
    return parts[-1] if parts else None
