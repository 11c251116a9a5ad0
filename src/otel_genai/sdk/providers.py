"""The three global providers of OpenTelemetry: whether they are set, which spans end, and sending their data at once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk.trace import SpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.sdk.trace import ReadableSpan


class FlushableProvider(Protocol):
    """The method that the SDK's three providers have in common."""

    def force_flush(self, timeout_millis: int = ...) -> bool:
        """Send all data; return whether it was sent in time (milliseconds)."""


def are_set() -> bool:
    """Return whether anybody has set a tracer provider yet."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def flushable_providers() -> tuple[FlushableProvider, ...]:
    """Return the global providers that are the SDK's: a configuration file may leave a signal without one."""
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider())
    return tuple(provider for provider in providers if hasattr(provider, "force_flush"))


def on_span_end(act: Callable[[ReadableSpan], None]) -> None:
    """Call `act` with each recorded span that ends at the present tracer provider. A disabled SDK has none."""
    provider = trace.get_tracer_provider()
    if hasattr(provider, "add_span_processor"):
        provider.add_span_processor(_SpanEndProcessor(act))


def flush(providers: Iterable[FlushableProvider]) -> None:
    """Send all data of these providers, in this order."""
    # A metric reader collects even after the SDK was shut down. Its exporter then warns (opentelemetry-exporter-otlp-proto-http 1.45
    # metric_exporter), though nothing is lost.
    for name in tuple(logging.root.manager.loggerDict):
        if name.startswith("opentelemetry.exporter."):
            logging.getLogger(name).addFilter(_is_no_shutdown_warning)
    for provider in providers:
        provider.force_flush()


def _is_no_shutdown_warning(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Exporter already shutdown")


class _SpanEndProcessor(SpanProcessor):
    def __init__(self, act: Callable[[ReadableSpan], None]) -> None:
        self._act = act

    def on_end(self, span: ReadableSpan) -> None:
        self._act(span)
