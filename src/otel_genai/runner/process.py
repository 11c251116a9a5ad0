"""What a process of a run has, be it the first or a child: the SDK, the instrumentation, and a way out that loses nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk.trace import SpanProcessor

from otel_genai.guard import Guard
from otel_genai.runner.awaited_modules import waited_for
from otel_genai.runner.gc_pause import gc_paused
from otel_genai.sdk import configure, providers
from otel_genai.server.yielding_provider import YIELDS_TO_LIBRARY

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_genai.runner.children.config import ChildConfig
    from otel_genai.runner.shutdown.exit import Shutdown
    from otel_genai.runner.summary.collector import SummaryCollector

_INSTRUMENTING = Guard("this run is not instrumented")


class Process:
    """The process that we are in. `set_up` comes before the program, `instrument` before its first GenAI library."""

    def __init__(self, told: ChildConfig, way_out: Shutdown, report: SummaryCollector | None = None) -> None:
        """`report` gathers for the summary of the process that prints it; others leave their figures in `told.tally`."""
        self._told = told
        self._way_out = way_out
        self._report = report
        self._is_instrumented = False
        self._ours: tuple[configure.Provider, ...] = ()

    def set_up(self, *, child: bool = False) -> frozenset[str]:
        """Set the SDK up, unless the program has done so, and switch on what is not ours.

        Returns the modules that a child waits for; raises CannotRunError if the environment asks for what cannot be had.
        """
        if self._told.trace:
            from otel_genai.runner.traceparent import follow

            follow(self._told.trace)
        if not providers.are_set():
            self._ours = configure.configure(self._told.service_name, child=child)
            providers.give_way(self._handed_over)
        self._attend_to_spans()
        self._way_out.flush_by(self._flush)
        if not self._told.others:
            return waited_for()
        from otel_genai.runner.third_party import modules, switch_on

        switch_on(self._told.others)
        return waited_for() | modules(self._told.others)

    def instrument(self) -> None:
        """Switch our instrumentations on, and gather what the summary needs."""
        import otel_genai

        with _INSTRUMENTING, gc_paused():
            otel_genai.instrument()
            self._is_instrumented = True
            if self._ours and not configure.sends_traces():
                # vLLM, say, where nothing but an argument of its own tells where spans go.
                setattr(trace.get_tracer_provider(), YIELDS_TO_LIBRARY, True)
            if self._report:
                self._report.attend()
            elif self._told.tally:
                from otel_genai.runner.summary.child_calls import ChildCalls

                tally = ChildCalls(Path(self._told.tally))
                otel_genai.observe(lambda operation, _: tally.add(operation))

    def _attend_to_spans(self) -> None:
        provider = trace.get_tracer_provider()
        if hasattr(provider, "add_span_processor"):
            provider.add_span_processor(_AtSpanEnd(self._way_out))

    def _handed_over(self) -> None:
        """The program has set a provider of its own."""
        import otel_genai

        if self._report:
            self._report.follow()
        if self._is_instrumented:
            # Instruments, unlike tracers, stay with the provider that made them.
            otel_genai.uninstrument()
            otel_genai.instrument()

    def _flush(self) -> None:
        # Where nothing was instrumented, nothing is open, and this is no time to import.
        if call := sys.modules.get("otel_genai.call.call"):
            call.finish_open_calls()
        # The program's own are flushed, too: who is told to terminate cannot do it any more.
        in_charge = (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider())
        configure.flush(dict.fromkeys([*self._ours, *(found for found in in_charge if hasattr(found, "force_flush"))]))


class _AtSpanEnd(SpanProcessor):
    """A process that has something to lose flushes before it is terminated, also if it was forked off."""

    def __init__(self, way_out: Shutdown) -> None:
        self._way_out = way_out

    def on_end(self, span: ReadableSpan) -> None:  # noqa: ARG002
        self._way_out.something_to_lose()
