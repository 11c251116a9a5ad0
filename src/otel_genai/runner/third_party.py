"""Instrumentors from other packages: the user names them with `--with`, and they are switched on as `opentelemetry-instrument` does."""

from __future__ import annotations

import logging
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING, Final

from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts
from opentelemetry.instrumentation.environment_variables import OTEL_PYTHON_DISABLED_INSTRUMENTATIONS

from otel_genai.instrumentors.import_hook import PREFIX
from otel_genai.runner.errors import CannotRunError
from otel_genai.sdk.environment import setting
from otel_genai.sdk.plugins import alternatives, distro, entry_points

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.metadata import EntryPoint

ALL: Final = "all"

_logger = logging.getLogger("otel_genai")


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the chosen entry points, where `all` stands for every one that is not disabled.

    Raises CannotRunError for one that is not installed, or whose library has the wrong version or is not installed.
    """
    installed = {entry.name: entry for entry in _installed()}
    for name in names:
        if name == ALL:
            continue
        if name not in installed:
            raise CannotRunError(
                f"--with: no instrumentation called {name!r} is installed{alternatives(name, installed)}"
            )
        if conflict := _conflict(installed[name]):
            raise CannotRunError(f"--with {name}: {conflict}")
    if ALL not in names:
        return tuple(dict.fromkeys(names))
    disabled = {name.strip() for name in setting(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS).split(",")}
    usable = [name for name, entry in installed.items() if not disabled & {name, "*"} and not _conflict(entry)]
    return tuple(sorted({*usable, *names} - {ALL}))


def switch_on(names: Iterable[str]) -> None:
    """Switch the instrumentors on. One that fails is a warning: the others still work."""
    from opentelemetry.instrumentation.distro import DefaultDistro  # type: ignore[attr-defined]  # untyped upstream

    distribution = distro() or DefaultDistro()
    for entry in _installed():
        if entry.name in names:
            try:
                distribution.load_instrumentor(entry, skip_dep_check=True)
            except Exception as error:
                _logger.warning("%s is not instrumented: %s", entry.name, error)
                _logger.debug("Details:", exc_info=True)


def modules(names: Iterable[str]) -> frozenset[str]:
    """Return the top-level modules of the libraries that the instrumentors depend on, or else their own names."""
    found: set[str] = set()
    for entry in _installed():
        if entry.name in names:
            from packaging.requirements import Requirement

            packages = {Requirement(text).name.lower() for text in entry.load()().instrumentation_dependencies()}
            found |= {
                module
                for module, distributions in packages_distributions().items()
                if packages & {distribution.lower() for distribution in distributions}
            } or {entry.name}
    return frozenset(found)


def _installed() -> list[EntryPoint]:
    # Those of this package are on without being named.
    return [entry for entry in entry_points(group="opentelemetry_instrumentor") if not entry.name.startswith(PREFIX)]


def _conflict(entry: EntryPoint) -> str | None:
    """Return a sentence about the library that the instrumentor needs, unless the installed version suits."""
    conflict = get_dist_dependency_conflicts(entry.dist) if entry.dist else None
    if conflict is None:
        return None
    required = conflict.required or " or ".join(map(str, conflict.required_any or ()))
    found = conflict.found or ", ".join(map(str, conflict.found_any or ()))
    # The marker says that the requirement is one of the extra `instruments`. Some requirements are not `str` but `Requirement`.
    needed = str(required).partition(";")[0].strip()
    return f"it needs {needed}, " + (f"and {found} is installed" if found else "which is not installed")
