"""Whether the installed version of a library is supported.

`packaging` takes longer to import than everything else that `instrument()` imports, so a plain answer is found without it.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from opentelemetry.instrumentation.dependencies import DependencyConflict

_RELEASE: Final = r"(?P<release>\d+(?:\.\d+)*)"
_MINIMUM: Final = re.compile(rf"(?P<name>[\w.-]+) *>= *{_RELEASE}(?:\.dev0)?")
_INSTALLED: Final = re.compile(rf"{_RELEASE}(?:\+[\w.]+)?")


def conflict(requirements: Collection[str]) -> DependencyConflict | None:
    """The first requirement that the installed distributions do not meet; `None` if they meet all."""
    if all(map(_is_plainly_met, requirements)):
        return None
    from opentelemetry.instrumentation.dependencies import get_dependency_conflicts

    return get_dependency_conflicts(requirements)


def _is_plainly_met(requirement: str) -> bool:
    # False also where it takes `packaging` to tell: pre-releases, other operators, versions of different length.
    minimum = _MINIMUM.fullmatch(requirement)
    if minimum is None:
        return False
    try:
        installed = _INSTALLED.fullmatch(version(minimum["name"]))
    except PackageNotFoundError:
        return False
    return installed is not None and _numbers(installed["release"]) >= _numbers(minimum["release"])


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))
