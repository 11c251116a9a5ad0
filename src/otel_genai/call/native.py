"""Spans that a library makes by itself: not those that are made here already, and the others in one trace with ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from otel_genai.call import GIVES_WAY, propagation
from otel_genai.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_genai.call.drivers import Driver
    from otel_genai.endpoint import Native

_ADOPTING: Final = Guard("spans that a library makes by itself are a trace of their own")


def driver(row: Native) -> Driver:
    """For functions that make spans, set a provider, or look for a parent."""
    return {"report": _leaving_out, "provider": _yielding, "parent": _adopting}[row.part]


def _leaving_out(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    pass


def _yielding(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider) or hasattr(provider, GIVES_WAY):
        return wrapped(*args, **kwargs)
    return None


def _adopting(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
    with _ADOPTING:
        within = propagation.cold_start()
        if within is not None:
            return within
    if not propagation.is_rooted():
        return wrapped(*args, **kwargs)
    # What the parent process has told the library is nearer than the trace that all of them were started within.
    root = propagation.of_the_process()
    with propagation.current(propagation.apart()):
        found = wrapped(*args, **kwargs)
    return found if trace.get_current_span(found).get_span_context().is_valid else root
