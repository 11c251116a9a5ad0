"""Exports of a provider's package: its instrumentor, registered with OpenTelemetry on first use."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def registered_exports(package: str) -> Callable[[str], Any]:
    """`__getattr__` of a provider's package, for the names in its `__all__`, which its module `instrumentor` defines.

    Entry points and imports by name come this way. `otel_genai.instrument()` does not, since registration takes long.
    """

    def load(name: str) -> Any:
        if name not in sys.modules[package].__all__:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from otel_genai.instrumentors.instrumentor import register

        register()
        value = getattr(import_module(f"{package}.instrumentor"), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
