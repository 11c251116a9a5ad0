"""The bridge from a provider's table of rows to OpenTelemetry's `BaseInstrumentor`. A provider is a subclass of `Instrumentor`."""

from __future__ import annotations

from importlib.metadata import distribution
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

_RECORDERS: Final = "otel_genai_recorders"
"""A group of entry points, because the core imports no tool: functions (path or `None`, limit in bytes) that begin or end a recording."""
_RECORDING: Final = Guard("operations are not recorded to a file")

_is_recording = False


class Instrumentor(BaseInstrumentor):  # type: ignore[misc]
    """One library's instrumentation.

    `instrument()` takes the arguments of `otel_genai.instrument`, reads the environment, and does not import the library.
    `uninstrument()` undoes it; open calls and streams are still reported.
    """

    requires: ClassVar[tuple[str, ...]]
    """The library and its supported versions, as requirements."""
    rows: ClassVar[tuple[Row, ...]] = ()
    """The places in the library that are wrapped."""
    times_chunks: ClassVar[bool] = True
    """Whether inter-chunk latency is a metric, with one measurement a chunk, unless the user switches it off."""

    _patches: Patches | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """The requirements without which OpenTelemetry leaves this instrumentation off."""
        return self.requires

    def rows_for(self, config: Config) -> Iterable[Row]:
        """The rows that these settings leave on."""
        return [
            row
            for row in self.rows
            if (config.propagate or not isinstance(row, RequestHeadersRow))
            and (config.engine_stats or not isinstance(row, ArgumentRow))
            and not (config.native_spans and isinstance(row, LibrarySpansRow) and row.part == "report")
        ]

    def _instrument(self, *, parsed: InstrumentOptions | None = None, **options: Any) -> None:
        config, providers = parsed or InstrumentOptions.parse(**options)

        def telemetry() -> Telemetry:
            from otel_genai.telemetry.telemetry import Telemetry

            settings = config._replace(chunk_metrics=config.chunk_metrics and self.times_chunks)
            return Telemetry(type(self).__module__.removesuffix(".instrumentor"), __version__, settings, **providers)

        self._patches = Patches(self.rows_for(config), telemetry)
        self._patches.apply()
        _record(config)

    def _uninstrument(self, **_: Any) -> None:
        if self._patches is not None:
            self._patches.revert()
            self._patches = None


def _record(config: Config) -> None:
    """Begin or end a recording. Recorders are not imported in a process that never records."""
    global _is_recording  # noqa: PLW0603  # one a process, as recordings are
    if config.record_file is None and not _is_recording:
        return
    with _RECORDING:
        recorders = distribution("otel-genai").entry_points.select(group=_RECORDERS)
        if not recorders:
            raise LookupError(f"the installed otel-genai has no entry points {_RECORDERS}: install it again")
        for entry_point in recorders:
            entry_point.load()(config.record_file, config.record_limit)
        _is_recording = config.record_file is not None
