"""The bridge between a provider's room and OpenTelemetry's instrumentors. A room is a subclass of `Instrumentor` and a table."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped upstream

from otel_genai.endpoint.rows import ArgumentRow, LibrarySpansRow, RequestHeadersRow
from otel_genai.guard import Guard
from otel_genai.instrumentors.options import InstrumentOptions
from otel_genai.patching.patches import Patches
from otel_genai.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from otel_genai.config import Config
    from otel_genai.endpoint.rows import Row
    from otel_genai.telemetry.telemetry import Telemetry

_RECORDER: Final = "otel_genai.recording.recorder"
_RECORDING: Final = Guard("operations are not recorded to a file")


class Instrumentor(BaseInstrumentor):  # type: ignore[misc]
    """One library's instrumentation.

    `instrument()` switches it on, with the arguments of `otel_genai.instrument`, here and now: the environment is read at that moment, and
    the library is not imported. `uninstrument()` takes it back; calls and streams that are under way are still reported.
    """

    requires: ClassVar[tuple[str, ...]]
    """The library and its supported versions, as requirements."""
    rows: ClassVar[tuple[Row, ...]] = ()
    """What is patched."""
    times_chunks: ClassVar[bool] = True
    """Whether the time between two chunks is a metric where the user does not switch that off: one point for each."""

    _patches: Patches | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """The library that must be installed for this to do anything."""
        return self.requires

    def rows_for(self, config: Config) -> Iterable[Row]:
        """What is patched under these settings."""
        return [
            row
            for row in self.rows
            if (config.propagate or not isinstance(row, RequestHeadersRow))
            and (config.engine_stats or not isinstance(row, ArgumentRow))
            and not (config.native_spans and isinstance(row, LibrarySpansRow) and row.part == "report")
        ]

    def _instrument(self, *, wishes: InstrumentOptions | None = None, **options: Any) -> None:
        config, providers = wishes or InstrumentOptions.of(**options)

        def telemetry() -> Telemetry:
            from otel_genai.telemetry.telemetry import Telemetry

            own = config._replace(chunk_metrics=config.chunk_metrics and self.times_chunks)
            return Telemetry(type(self).__module__.removesuffix(".instrumentor"), __version__, own, **providers)

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
