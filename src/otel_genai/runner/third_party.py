"""Instrumentors that are not ours: installed ones that the user asks for by name, switched on as OpenTelemetry's launcher does."""

from __future__ import annotations

import logging
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING, Final

from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts
from opentelemetry.instrumentation.environment_variables import OTEL_PYTHON_DISABLED_INSTRUMENTATIONS
from opentelemetry.util._importlib_metadata import entry_points

from otel_genai.instrumentors.import_hook import PREFIX
from otel_genai.runner.target.become import CannotRunError
from otel_genai.sdk.configure import distro, near, setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.metadata import EntryPoint

ALL: Final = "all"

_logger = logging.getLogger("otel_genai")


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """The entry points that are meant, by name; raises CannotRunError for one that is not installed, or cannot work with what is."""
    installed = {entry.name: entry for entry in _installed()}
    for name in names:
        if name == ALL:
            continue
        if name not in installed:
            raise CannotRunError(f"--with: no instrumentation called {name!r} is installed{near(name, installed)}")
        if conflict := _conflict(installed[name]):
            raise CannotRunError(f"--with {name}: {conflict}")
    if ALL not in names:
        return tuple(dict.fromkeys(names))
    disabled = {name.strip() for name in setting(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS).split(",")}
    willing = [name for name, entry in installed.items() if not disabled & {name, "*"} and not _conflict(entry)]
    return tuple(sorted({*willing, *names} - {ALL}))


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
    """The top-level modules that the instrumentors work on, as far as they say; else what they are called."""
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
    """All but those of this package, which are on anyway."""
    return [entry for entry in entry_points(group="opentelemetry_instrumentor") if not entry.name.startswith(PREFIX)]


def _conflict(entry: EntryPoint) -> str | None:
    """Why the instrumentor cannot work with what is installed."""
    conflict = get_dist_dependency_conflicts(entry.dist) if entry.dist else None
    return conflict._format_message(entry.name) if conflict else None
