"""Collects the summary of a run: figures of finished operations, and the spans of the last one's trace.

Modules that only a GenAI call needs are imported when the first call ends.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from opentelemetry import trace

import otel_genai
from otel_genai.runner.summary.last_spans import LastSpans
from otel_genai.sdk.providers import on_span_end

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.trace import Span, SpanContext

    from otel_genai.operation import Operation
    from otel_genai.recording.analysis.summary import Summary
    from otel_genai.runner.summary.child_calls import ChildCalls


class SummaryCollector:
    """Collects the calls of this process while the program runs, and adds those of other processes at the end."""

    def __init__(self, calls_folder: Path) -> None:
        """`calls_folder` is the folder where other processes write their calls."""
        self._summary: Summary | None = None
        self._lock = threading.Lock()
        self._spans = LastSpans()
        self._followed: list[trace.TracerProvider] = []
        self._last: SpanContext | None = None
        self._process = os.getpid()
        self._calls_folder = calls_folder
        self._child_calls: ChildCalls | None = None

    def start(self) -> None:
        """Begin to collect operations, and spans of the present provider."""
        self.follow_provider()
        otel_genai.observe(self.add)

    def follow_provider(self) -> None:
        """Collect the spans of the present provider, too."""
        provider = trace.get_tracer_provider()
        if provider not in self._followed:
            self._followed.append(provider)
            on_span_end(self._spans.add)

    def add(self, operation: Operation, span: Span) -> None:
        """Add one finished operation."""
        if os.getpid() == self._process:
            self._last = span.get_span_context()
            (self._summary or self._first_summary()).add(operation)
        else:
            # A fork has a copy of this object, which prints nothing.
            (self._child_calls or self._first_child_calls()).add(operation)

    def print(self) -> None:
        """Print the summary to stderr."""
        from otel_genai.runner.summary.child_calls import read

        for operation in read(self._calls_folder):
            (self._summary or self._first_summary()).add(operation)
        if self._summary is None:
            print("otel-genai: no GenAI calls were made", file=sys.stderr)
            return
        # Late, because rich takes long to import.
        from otel_genai.recording.analysis.trace_tree import trace_tree
        from otel_genai.recording.output.terminal import print_summary

        last, records = self._last, self._spans.records()
        tree = trace_tree(records, trace_id=last.trace_id, span_id=last.span_id) if last else None
        print_summary(self._summary.rows(), tree, sys.stderr)

    def _first_summary(self) -> Summary:
        from otel_genai.recording.analysis.summary import Summary

        with self._lock:
            if self._summary is None:
                self._summary = Summary()
            return self._summary

    def _first_child_calls(self) -> ChildCalls:
        from otel_genai.runner.summary.child_calls import ChildCalls

        self._child_calls = ChildCalls(self._calls_folder)
        return self._child_calls
