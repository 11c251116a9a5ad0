"""Names of models without the paths of this machine."""

from __future__ import annotations

import re
from typing import Any, Final

_HUB_ID: Final = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_CACHED: Final = "models--"
"""Prefix of a model's folder in the hub's cache: `models--org--name` (huggingface_hub `file_download.repo_folder_name`)."""


def short_name(name_or_path: Any) -> str | None:
    """The name of a model on the hub, or the last part of its folder's path; `None` if it has neither.

    A folder of the hub's cache gives the name on the hub. The rest of a path is left out: it describes this machine and its users.
    """
    name = str(name_or_path or "")
    if _HUB_ID.fullmatch(name):
        return name
    parts = [part for part in re.split(r"[\\/]", name) if part]
    cached = [part for part in parts if part.startswith(_CACHED)]
    if cached:
        return cached[-1].removeprefix(_CACHED).replace("--", "/")
    return parts[-1] if parts else None
