"""The bridge between a provider's room and OpenTelemetry's instrumentors. A room is a subclass of `Instrumentor` and a table."""

from __future__ import annotations

import logging
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Any, ClassVar, Final

from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped upstream

from otel_genai.config import Config
from otel_genai.patching import Patches
from otel_genai.telemetry import Telemetry
from otel_genai.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from otel_genai.endpoint import Carrier, Patch

_logger = logging.getLogger("otel_genai")

_OPTIONS: Final = frozenset({"tracer_provider", "meter_provider", "logger_provider"})


class Instrumentor(BaseInstrumentor):  # type: ignore[misc]
    """One library's instrumentation.

    `instrument(tracer_provider=, meter_provider=, logger_provider=)` switches it on: a provider that is not given is the global one,
    the environment is read at that moment, and the library is not imported. `uninstrument()` takes it back; calls and streams that are
    under way are still reported.
    """

    requires: ClassVar[tuple[str, ...]]
    """The library and its supported versions, as requirements."""
    rows: ClassVar[tuple[Patch | Carrier, ...]]
    """What is patched."""

    _patches: Patches | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """The library that must be installed for this to do anything."""
        return self.requires

    def _instrument(self, **options: Any) -> None:
        unknown = options.keys() - _OPTIONS
        if unknown:
            raise ValueError(
                f"instrument() does not know {', '.join(sorted(unknown))}; it takes {', '.join(sorted(_OPTIONS))}"
            )
        telemetry = Telemetry(type(self).__module__, __version__, Config.from_environment(), **options)
        self._patches = Patches(self.rows, telemetry)
        self._patches.apply()

    def _uninstrument(self, **_: Any) -> None:
        if self._patches is not None:
            self._patches.revert()
            self._patches = None


def instrument(**providers: Any) -> None:
    """Switch on every instrumentation of this package whose library is installed in a supported version.

    Takes `tracer_provider=`, `meter_provider=` and `logger_provider=`; OpenTelemetry's global providers are used otherwise.
    The settings in the environment are read now. Instrumentations that are on already stay as they are.
    Raises `ValueError` for any other argument.
    """
    for instrumentor in _all():
        if instrumentor.is_instrumented_by_opentelemetry:
            continue
        try:
            instrumentor.instrument(raise_exception_on_conflict=True, **providers)
        except DependencyConflictError as error:
            # A library that is not installed is no news; one in a version that we do not support is.
            level = logging.WARNING if error.conflict.found else logging.DEBUG
            _logger.log(level, "%s is off: %s", type(instrumentor).__name__, error.conflict)


def uninstrument() -> None:
    """Take back every instrumentation of this package. Calls and streams that are under way are still reported."""
    for instrumentor in _all():
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


def _all() -> Iterator[Instrumentor]:
    # The entry points of this package are the one list of its instrumentors: a new one is a line in pyproject.toml.
    for entry_point in distribution("otel-genai").entry_points.select(group="opentelemetry_instrumentor"):
        yield entry_point.load()()
