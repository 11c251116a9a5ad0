"""The instrumentor of one library: a provider's folder has a subclass of `Instrumentor` with the table of its rows."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Any, ClassVar, Final

from otel_genai.guard import Guard
from otel_genai.instrumentors import versions
from otel_genai.instrumentors.options import InstrumentOptions
from otel_genai.patching.patches import Patches
from otel_genai.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Self

    from otel_genai.config import Config
    from otel_genai.endpoint.rows import Row
    from otel_genai.telemetry.telemetry import Telemetry

_logger = logging.getLogger("opentelemetry.instrumentation.instrumentor")
_RECORDERS: Final = "otel_genai_recorders"
"""A group of entry points, because the core imports no tool: functions (path or `None`, limit in bytes) that begin or end a recording."""
_RECORDING: Final = Guard("operations are not recorded to a file")

_is_recording = False


class Instrumentor:
    """One library's instrumentation: one object a process, which does what OpenTelemetry's `BaseInstrumentor` does.

    It is a virtual subclass of that class as soon as it is imported from a provider's package: see `register`.
    """

    requires: ClassVar[tuple[str, ...]]
    """The library and its supported versions, as requirements: `openai >= 1.40`."""
    rows: ClassVar[tuple[Row, ...]] = ()
    """The places in the library that are wrapped."""
    times_chunks: ClassVar[bool] = True
    """Whether inter-chunk latency is a metric, with one measurement a chunk, unless the user switches it off."""

    _patches: Patches | None = None
    _is_on = False

    def __new__(cls) -> Self:
        """The one object of this class."""
        if "_instance" not in vars(cls):
            cls._instance = super().__new__(cls)
        instance: Self = vars(cls)["_instance"]
        return instance

    @property
    def is_instrumented_by_opentelemetry(self) -> bool:
        """Whether it is on."""
        return self._is_on

    def instrument(
        self, *, skip_dep_check: bool = False, raise_exception_on_conflict: bool = False, **options: Any
    ) -> None:
        """Switch it on, with the arguments of `otel_genai.instrument`. The environment is read now; the library is not imported.

        Does nothing if it is on. If the library is missing or its version is not supported, that is one logged error; or, if asked for,
        OpenTelemetry's `DependencyConflictError`.
        """
        if self._is_on:
            _logger.warning("Attempting to instrument while already instrumented")
            return
        conflict = None if skip_dep_check else versions.conflict(self.instrumentation_dependencies())
        if conflict is None:
            self._instrument(**options)
            self._is_on = True
        elif raise_exception_on_conflict:
            from opentelemetry.instrumentation.dependencies import DependencyConflictError

            raise DependencyConflictError(conflict)
        else:
            _logger.error("%s", str(conflict).replace("This instrumentation", type(self).__name__, 1))

    def uninstrument(self, **_: Any) -> None:
        """Revert it. Calls and streams that have begun are still reported."""
        if not self._is_on:
            _logger.warning("Attempting to uninstrument while already uninstrumented")
            return
        self._uninstrument()
        self._is_on = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """The requirements without which OpenTelemetry leaves this instrumentation off."""
        return self.requires

    def rows_for(self, config: Config) -> Iterable[Row]:
        """The rows that these settings leave on."""
        return [row for row in self.rows if not hasattr(row, "applies") or row.applies(config)]

    def _instrument(self, *, parsed: InstrumentOptions | None = None, **options: Any) -> None:
        config, providers = parsed or InstrumentOptions.parse(**options)

        def telemetry() -> Telemetry:
            from otel_genai.telemetry.telemetry import Telemetry

            settings = config._replace(chunk_metrics=config.chunk_metrics and self.times_chunks)
            return Telemetry(type(self).__module__.removesuffix(".instrumentor"), __version__, settings, **providers)

        self._patches = Patches(self.rows_for(config), telemetry)
        self._patches.apply()
        _record(config)

    def _uninstrument(self) -> None:
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


def register() -> None:
    """Make all instrumentors of this package virtual subclasses of OpenTelemetry's `BaseInstrumentor` (PEP 3119).

    `otel_genai.instrument()` does without: the import of that class takes longer than all of its own.
    """
    from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped upstream

    BaseInstrumentor.register(Instrumentor)


if "opentelemetry.instrumentation.instrumentor" in sys.modules:
    register()
