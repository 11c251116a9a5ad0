"""The bridge between a provider's room and OpenTelemetry's instrumentors. A room is a subclass of `Instrumentor` and a table."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Any, ClassVar, Final

from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped upstream

from otel_genai.call.patching import Patches
from otel_genai.config import Config
from otel_genai.endpoint import Carrier
from otel_genai.guard import Guard
from otel_genai.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from otel_genai.endpoint import Row
    from otel_genai.telemetry.telemetry import Telemetry

_logger = logging.getLogger("otel_genai")

_PROVIDERS: Final = ("tracer_provider", "meter_provider", "logger_provider")
_SETTINGS: Final = ("provider", "redact", "completion_hook")
_RECORDER: Final = "otel_genai.recording.recorder"
_RECORDING: Final = Guard("operations are not recorded to a file")


class Instrumentor(BaseInstrumentor):  # type: ignore[misc]
    """One library's instrumentation.

    `instrument()` switches it on, with the arguments of `otel_genai.instrument`: the environment is read at that moment, and the
    library is not imported. `uninstrument()` takes it back; calls and streams that are under way are still reported.
    """

    requires: ClassVar[tuple[str, ...]]
    """The library and its supported versions, as requirements."""
    rows: ClassVar[tuple[Row, ...]] = ()
    """What is patched."""

    _patches: Patches | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """The library that must be installed for this to do anything."""
        return self.requires

    def rows_for(self, config: Config) -> Iterable[Row]:
        """What is patched under these settings."""
        return self.rows if config.propagate else [row for row in self.rows if not isinstance(row, Carrier)]

    def _instrument(self, **options: Any) -> None:
        unknown = options.keys() - {*_PROVIDERS, *_SETTINGS}
        if unknown:
            known = ", ".join((*_PROVIDERS, *_SETTINGS))
            raise ValueError(f"instrument() does not know {', '.join(sorted(unknown))}; it takes {known}")
        config = Config.from_environment(**{name: options[name] for name in _SETTINGS if name in options})
        providers = {name: options[name] for name in _PROVIDERS if name in options}

        def telemetry() -> Telemetry:
            from otel_genai.telemetry.telemetry import Telemetry

            return Telemetry(type(self).__module__, __version__, config, **providers)

        self._patches = Patches(self.rows_for(config), telemetry)
        self._patches.apply()
        # Where nothing is recorded and nothing was, the recorder is not imported.
        if config.record_file is not None or _RECORDER in sys.modules:
            with _RECORDING:
                import_module(_RECORDER).record_to(config.record_file, config.record_limit)

    def _uninstrument(self, **_: Any) -> None:
        if self._patches is not None:
            self._patches.revert()
            self._patches = None


def instrument(**options: Any) -> None:
    """Switch on every instrumentation of this package whose library is installed in a supported version.

    The settings in the environment (`otel_genai.config.SETTINGS`) are read now. Arguments, all optional:

    - `tracer_provider`, `meter_provider`, `logger_provider`: OpenTelemetry's global ones otherwise;
    - `provider`: `gen_ai.provider.name` of every server, where its address does not tell: `"vllm"`;
    - `redact`: a function from text to text, applied to all content before anything is recorded;
    - `completion_hook`: an object with the `on_completion` of `opentelemetry-util-genai`, given every prompt and answer.

    Instrumentations that are on already stay as they are. Raises `ValueError` for arguments that cannot be used.
    """
    for instrumentor in _all():
        if instrumentor.is_instrumented_by_opentelemetry:
            continue
        try:
            instrumentor.instrument(raise_exception_on_conflict=True, **options)
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
