"""The front door of what can be instrumented: one folder a library, named in the package's entry points.

`instrument()` only waits for the first of these libraries: a process that never imports one pays for none of it.
"""

from __future__ import annotations

import logging
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Any, Final

from otel_genai.guard import Guard
from otel_genai.instrumentors import arrival

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_genai.instrumentors.instrumentor import Instrumentor
    from otel_genai.instrumentors.wishes import Wishes

_logger = logging.getLogger("otel_genai")
_SWITCHING_ON: Final = Guard("this process is not instrumented")

# How to end the waiting, while we wait.
_forget: Callable[[], None] | None = None


def instrument(**options: Any) -> None:
    """Switch on every instrumentation of this package whose library is installed in a supported version.

    The settings in the environment (`otel_genai.config.SETTINGS`) are read now. Arguments, all optional:

    - `tracer_provider`, `meter_provider`, `logger_provider`: OpenTelemetry's global ones otherwise;
    - `provider`: `gen_ai.provider.name` of every server, where its address does not tell: `"vllm"`;
    - `redact`: a function from text to text, applied to all content before anything is recorded;
    - `completion_hook`: an object with the `on_completion` of `opentelemetry-util-genai`, given every prompt and answer;
    - `engine_stats`: `True` has engines keep statistics even if the program has left them off, as vLLM's offline default is.

    Instrumentations that are on already stay as they are. Raises `ValueError` for arguments that cannot be used.
    """
    global _forget  # noqa: PLW0603 - one a process
    from otel_genai.instrumentors.wishes import Wishes

    wishes = Wishes.of(**options)
    if _forget is None:
        _forget = arrival.on_arrival(arrival.awaited(wishes.config.wrap), lambda: _switch_on(wishes))


def uninstrument() -> None:
    """Take back every instrumentation of this package. Calls and streams that are under way are still reported."""
    global _forget  # noqa: PLW0603 - one a process
    if _forget is not None:
        _forget()
        _forget = None
    for instrumentor in _all():
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


def _switch_on(wishes: Wishes) -> None:
    global _forget  # noqa: PLW0603 - one a process
    _forget = None
    from opentelemetry.instrumentation.dependencies import DependencyConflictError

    with _SWITCHING_ON:  # an error would be the application's, whose import this is
        for instrumentor in _all():
            if instrumentor.is_instrumented_by_opentelemetry:
                continue
            try:
                instrumentor.instrument(raise_exception_on_conflict=True, wishes=wishes)
            except DependencyConflictError as error:
                # A library that is not installed is no news; one in a version that we do not support is.
                level = logging.WARNING if error.conflict.found else logging.DEBUG
                _logger.log(level, "%s is off: %s", type(instrumentor).__name__, error.conflict)


def _all() -> Iterator[Instrumentor]:
    # The entry points of this package are the one list of its instrumentors: a new one is a line in pyproject.toml.
    for entry_point in distribution("otel-genai").entry_points.select(group="opentelemetry_instrumentor"):
        yield entry_point.load()()
