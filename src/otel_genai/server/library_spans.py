"""Spans that a library makes by itself: not those that are made here already, and the others in one trace with ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from otel_genai.call import context as call_context
from otel_genai.guard import Guard
from otel_genai.server.yielding_provider import YIELDS_TO_LIBRARY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_genai.endpoint.rows import LibrarySpansRow
    from otel_genai.patching.drivers import Driver

_ADOPTING: Final = Guard("spans that a library makes by itself are a trace of their own")


def driver(row: LibrarySpansRow) -> Driver:
    """For functions that make spans, set a provider, or look for a parent."""
    return {"report": _leaving_out, "provider": _yielding, "parent": _adopting}[row.part]


def _leaving_out(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    pass


def _yielding(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider) or hasattr(provider, YIELDS_TO_LIBRARY):
        return wrapped(*args, **kwargs)
    return None


def _adopting(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
    with _ADOPTING:
        within = call_context.cold_start()
        if within is not None:
            return within
    if not call_context.has_inherited_parent():
        return wrapped(*args, **kwargs)
    # What the parent process has told the library is nearer than the trace that all of them were started within.
    root = call_context.process_context()
    with call_context.current(call_context.isolated()):
        found = wrapped(*args, **kwargs)
    return found if trace.get_current_span(found).get_span_context().is_valid else root
