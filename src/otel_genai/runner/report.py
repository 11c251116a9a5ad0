"""What a run's summary is made from: figures of finished operations, and the spans of the last one's trace.

What only a GenAI call needs is imported when the first one ends.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from opentelemetry import trace

import otel_genai
from otel_genai.runner.spans import LastSpans

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext

    from otel_genai.operation import Operation
    from otel_genai.recording.summary import Summary


class Report:
    """Gathers while the script runs, in its process alone, and prints at the end."""

    def __init__(self) -> None:
        self._summary: Summary | None = None
        self._first = threading.Lock()
        self._spans = LastSpans()
        self._last: SpanContext | None = None
        self._process = os.getpid()

    def attend(self) -> None:
        """Begin to gather from the providers that are set up by now."""
        provider = trace.get_tracer_provider()
        # A disabled SDK leaves a provider that takes none.
        if hasattr(provider, "add_span_processor"):
            provider.add_span_processor(self._spans)
        otel_genai.observe(self.notice)

    def notice(self, operation: Operation, span: Span) -> None:
        """Take in one finished operation."""
        # A fork's calls are not this run's to tell, and its copy would grow without ever being shown.
        if os.getpid() == self._process:
            self._last = span.get_span_context()
            (self._summary or self._first_summary()).add(operation)

    def print(self) -> None:
        """Print the summary to stderr."""
        if self._summary is None or self._last is None:
            print("otel-genai: no GenAI calls were made", file=sys.stderr)
            return
        # Only now: the import of rich is nothing to begin a run with.
        from otel_genai.recording.terminal import print_summary
        from otel_genai.recording.trace_tree import trace_tree

        tree = trace_tree(self._spans.records(), trace_id=self._last.trace_id, span_id=self._last.span_id)
        print_summary(self._summary.rows(), tree, sys.stderr)

    def _first_summary(self) -> Summary:
        from otel_genai.recording.summary import Summary

        with self._first:
            if self._summary is None:
                self._summary = Summary()
            return self._summary
