"""Exports of a provider's package: its instrumentor, registered with OpenTelemetry on first use."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from otel_genai.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from collections.abc import Callable


def registered_exports(package: str) -> Callable[[str], Any]:
    """`__getattr__` of a provider's package, for the names in its `__all__`, which its module `instrumentor` defines.

    Entry points and imports by name come this way. `otel_genai.instrument()` does not, since registration takes long.
    """
    load, _ = lazy_exports(package, {f"{package}.instrumentor": sys.modules[package].__all__})

    def load_registered(name: str) -> Any:
        if name in sys.modules[package].__all__:
            from otel_genai.instrumentors.instrumentor import register

            register()
        return load(name)

    return load_registered
