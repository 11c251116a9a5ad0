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
from otel_genai.runner.summary.last_spans import LastSpans

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.trace import Span, SpanContext

    from otel_genai.operation import Operation
    from otel_genai.recording.analysis.summary import Summary
    from otel_genai.runner.summary.child_calls import ChildCalls


class SummaryCollector:
    """Gathers while the script runs, and prints at the end what this process and those that it started have done."""

    def __init__(self, tally: Path) -> None:
        """`tally` is the folder where other processes leave their figures."""
        self._summary: Summary | None = None
        self._first = threading.Lock()
        self._spans = LastSpans()
        self._followed: list[trace.TracerProvider] = []
        self._last: SpanContext | None = None
        self._process = os.getpid()
        self._folder = tally
        self._tally: ChildCalls | None = None

    def attend(self) -> None:
        """Begin to gather from the providers that are set up by now."""
        self.follow()
        otel_genai.observe(self.notice)

    def follow(self) -> None:
        """Gather the spans of the provider that is in charge by now."""
        provider = trace.get_tracer_provider()
        # A disabled SDK leaves a provider that takes none.
        if provider not in self._followed and hasattr(provider, "add_span_processor"):
            self._followed.append(provider)
            provider.add_span_processor(self._spans)

    def notice(self, operation: Operation, span: Span) -> None:
        """Take in one finished operation."""
        if os.getpid() == self._process:
            self._last = span.get_span_context()
            (self._summary or self._first_summary()).add(operation)
        else:
            # A fork has a copy of ours, which nobody would ever see.
            (self._tally or self._first_tally()).add(operation)

    def print(self) -> None:
        """Print the summary to stderr."""
        from otel_genai.runner.summary.child_calls import read

        for operation in read(self._folder):
            (self._summary or self._first_summary()).add(operation)
        if self._summary is None:
            print("otel-genai: no GenAI calls were made", file=sys.stderr)
            return
        # Only now: the import of rich is nothing to begin a run with.
        from otel_genai.recording.analysis.trace_tree import trace_tree
        from otel_genai.recording.output.terminal import print_summary

        last, records = self._last, self._spans.records()
        tree = trace_tree(records, trace_id=last.trace_id, span_id=last.span_id) if last else None
        print_summary(self._summary.rows(), tree, sys.stderr)

    def _first_summary(self) -> Summary:
        from otel_genai.recording.analysis.summary import Summary

        with self._first:
            if self._summary is None:
                self._summary = Summary()
            return self._summary

    def _first_tally(self) -> ChildCalls:
        from otel_genai.runner.summary.child_calls import ChildCalls

        self._tally = ChildCalls(self._folder)
        return self._tally
