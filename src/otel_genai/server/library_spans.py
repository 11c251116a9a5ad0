"""The drivers of `LibrarySpansRow`: spans that duplicate ours are left out, and the library's other spans join our trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from otel_genai.call import context as call_context
from otel_genai.guard import Guard
from otel_genai.server.yielding_provider import YIELDS_TO_LIBRARY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_genai.endpoint.server_rows import LibrarySpansRow
    from otel_genai.patching.driver import Driver, Scope

_FINDING_PARENT: Final = Guard("a library's own spans are a trace of their own")


def library_spans_driver(row: LibrarySpansRow, found: Any, scope: Scope) -> Driver:  # noqa: ARG001
    """The driver of the row's part."""
    return {"report": _leave_out, "provider": _set_provider, "parent": _find_parent}[row.part]


def _leave_out(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    pass


def _set_provider(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider) or hasattr(provider, YIELDS_TO_LIBRARY):
        return wrapped(*args, **kwargs)
    return None


def _find_parent(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
    with _FINDING_PARENT:
        cold_start = call_context.cold_start()
        if cold_start is not None:
            return cold_start
    if not call_context.has_inherited_parent():
        return wrapped(*args, **kwargs)
    # A parent that the parent process passed to the library is closer than the trace in which all processes were started.
    inherited = call_context.process_context()
    with call_context.current(call_context.isolated()):
        found = wrapped(*args, **kwargs)
    return found if trace.get_current_span(found).get_span_context().is_valid else inherited
