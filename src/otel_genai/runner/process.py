"""The telemetry of one process of a run, the first or a child: the SDK, the instrumentation, and a flush before its end.

This module imports the SDK, so the runner imports it last.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry import trace

from otel_genai.guard import Guard
from otel_genai.instrumentors.import_hook import instrumentable_modules
from otel_genai.runner.gc_pause import gc_paused
from otel_genai.runner.options import WRAP
from otel_genai.sdk import providers
from otel_genai.sdk.configure import configure
from otel_genai.sdk.exporters import sends_traces
from otel_genai.sdk.replacement import allow_replacement
from otel_genai.server.yielding_provider import YIELDS_TO_LIBRARY

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_genai.runner.children.config import ChildConfig
    from otel_genai.runner.shutdown.exit import Shutdown
    from otel_genai.runner.summary.collector import SummaryCollector

_INSTRUMENTING = Guard("this run is not instrumented")


def awaited_modules() -> frozenset[str]:
    """Return the top-level modules with something to instrument, the user's functions among them."""
    return instrumentable_modules(os.environ.get(WRAP, "").split(","))


class Process:
    """The present process. `set_up` comes before the program, `instrument` before its first GenAI library."""

    def __init__(self, config: ChildConfig, shutdown: Shutdown, collector: SummaryCollector | None = None) -> None:
        """`collector` is for the process that prints the summary; others write their calls to `config.calls_folder`."""
        self._config = config
        self._shutdown = shutdown
        self._collector = collector
        self._is_instrumented = False
        self._own_providers: tuple[providers.FlushableProvider, ...] = ()

    def set_up(self, *, child: bool = False) -> frozenset[str]:
        """Set the SDK up unless the program has done so, and switch instrumentors of other packages on.

        Returns the top-level modules before whose import a child is instrumented. Raises CannotConfigureError.
        """
        if self._config.trace_headers:
            from otel_genai.runner.traceparent import follow

            follow(self._config.trace_headers)
        if not providers.are_set():
            self._own_providers = configure(self._config.service_name, child=child)
            if providers.are_set():
                allow_replacement(self._on_provider_replaced)
        providers.on_span_end(self._on_span_end)
        self._shutdown.set_flush(self._flush)
        if not self._config.third_party:
            return awaited_modules()
        from otel_genai.runner.third_party import modules, switch_on

        switch_on(self._config.third_party)
        return awaited_modules() | modules(self._config.third_party)

    def instrument(self) -> None:
        """Switch the instrumentations of this package on, and the collection for the summary."""
        import otel_genai

        with _INSTRUMENTING, gc_paused():
            otel_genai.instrument()
            self._is_instrumented = True
            if self._own_providers and not sends_traces():
                # vLLM, for one, takes the endpoint for its spans from an argument only.
                setattr(trace.get_tracer_provider(), YIELDS_TO_LIBRARY, True)
            if self._collector:
                self._collector.start()
            elif self._config.calls_folder:
                from otel_genai.runner.summary.child_calls import ChildCalls

                calls = ChildCalls(Path(self._config.calls_folder))
                otel_genai.observe(lambda operation, _: calls.add(operation))

    def _on_provider_replaced(self) -> None:
        import otel_genai

        if self._collector:
            self._collector.follow_provider()
        if self._is_instrumented:
            # Instruments, unlike tracers, stay with the provider that made them.
            otel_genai.uninstrument()
            otel_genai.instrument()

    def _on_span_end(self, _: ReadableSpan) -> None:
        # Forks of this process have this processor, too.
        self._shutdown.note_unsent_data()

    def _flush(self) -> None:
        # A process without a call has imported no calls, and a signal handler is no place for an import.
        if call := sys.modules.get("otel_genai.call.call"):
            call.finish_open_calls()
        # The program's own providers are flushed, too: SIGTERM ends the process before the program could do so.
        providers.flush(dict.fromkeys([*self._own_providers, *providers.flushable_providers()]))
