"""JavaScript modules as one script: a page that opens from a disk cannot import files (the HTML standard fetches modules with CORS)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_IMPORT: Final = re.compile(r'^import \{ \w+(?:, \w+)* \} from "\./(\w+\.js)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|class|const)\b)", re.MULTILINE)


def modules_as_one(name: str, source: Callable[[str], str]) -> str:
    """The module and all that it imports, each once and after its own imports. `source` gives a module's text by its name.

    The modules share one scope, so that a top-level name may occur only once. They import and export by name, and rename nothing.
    Raises ValueError for any other form of import or export.
    """
    found: dict[str, str] = {}
    _collect(name, source, found)
    return "".join(found.values())


def _collect(name: str, source: Callable[[str], str], found: dict[str, str]) -> None:
    text = source(name)
    for imported in _IMPORT.findall(text):
        if imported not in found:
            _collect(imported, source, found)
    alone = _EXPORT.sub("", _IMPORT.sub("", text))
    if re.search(r"^(?:import|export)\b", alone, re.MULTILINE):
        raise ValueError(f"{name} has an import or export of another form")
    found[name] = alone
