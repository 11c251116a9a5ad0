"""OpenTelemetry's plug-ins: entry points of installed packages, such as distributions, configurators and exporters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from opentelemetry.instrumentation.environment_variables import OTEL_PYTHON_DISTRO

from otel_genai.sdk.environment import CannotConfigureError, setting

try:
    # Private (opentelemetry-api 1.41 to 1.45): the cache through which the SDK reads entry points. A second scan of all installed
    # packages would double the time.
    from opentelemetry.util._importlib_metadata import entry_points
except ImportError:
    from importlib.metadata import entry_points  # type: ignore[assignment]  # overloaded for older callers

if TYPE_CHECKING:
    from collections.abc import Collection

    from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]  # untyped upstream

__all__ = ["alternatives", "chosen", "distro", "entry_points"]


def chosen(group: str, variable: str) -> Any:
    """Load the entry point that the variable names, or else the first of the group; `None` if the group is empty.

    Raises CannotConfigureError if the variable names one that is not installed.
    """
    installed = entry_points(group=group)
    if not (name := setting(variable)):
        return next((entry.load() for entry in installed), None)
    if name not in installed.names:
        raise CannotConfigureError(f"{variable}: {name!r} is not installed" + alternatives(name, installed.names))
    return installed[name].load()


def distro() -> BaseDistro | None:
    """Return the installed distribution, if there is one; raises CannotConfigureError if the named one is not installed."""
    found = chosen("opentelemetry_distro", OTEL_PYTHON_DISTRO)
    return cast("BaseDistro", found()) if found else None


def alternatives(name: str, installed: Collection[str]) -> str:
    """Return a remark that lists similar names, or all names if none is similar."""
    from difflib import get_close_matches

    choice = get_close_matches(name, installed) or sorted(installed)
    return f" (installed: {', '.join(choice)})" if choice else " (none is)"
