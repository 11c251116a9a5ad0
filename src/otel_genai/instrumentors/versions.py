"""Whether the installed version of a library is supported.

`packaging` takes longer to import than everything else that `instrument()` imports, so a plain answer is found without it.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from opentelemetry.instrumentation.dependencies import DependencyConflict


def conflict(requirements: Collection[str]) -> DependencyConflict | None:
    """The first requirement that the installed distributions do not meet; `None` if they meet all."""
    if all(map(_is_plainly_met, requirements)):
        return None
    from opentelemetry.instrumentation.dependencies import get_dependency_conflicts

    return get_dependency_conflicts(requirements)


def _is_plainly_met(requirement: str) -> bool:
    # False also where it takes `packaging` to tell: pre-releases, other operators, versions of different length.
    name, operator, minimum = (part.strip() for part in requirement.partition(">="))
    try:
        installed, _, _ = version(name).partition("+") if operator else ("", "", "")
        return _numbers(installed) >= _numbers(minimum.removesuffix(".dev0"))
    except (PackageNotFoundError, ValueError):
        return False


def _numbers(release: str) -> tuple[int, ...]:
    # Raises ValueError for anything but numbers and dots.
    return tuple(map(int, release.split(".")))
