"""The settings: environment variables, and arguments of `instrument()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from docs.generate.markdown import table
from otel_genai.config import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

ARGUMENTS: Final = {
    "tracer_provider": ("OpenTelemetry's global one", "Takes the spans."),
    "meter_provider": ("OpenTelemetry's global one", "Takes the metrics."),
    "logger_provider": ("OpenTelemetry's global one", "Takes the events."),
    "provider": (
        "from the server's address",
        '`gen_ai.provider.name` of every server, whatever its address: `"vllm"`.',
    ),
    "redact": (
        "none",
        "A function from text to text. All content passes through it before anything is recorded. If it raises, that call has no content.",
    ),
    "completion_hook": (
        "the hook that the environment names",
        "An object with the `on_completion` of `opentelemetry-util-genai`. It receives every prompt and answer.",
    ),
    "engine_stats": (
        "`OTEL_GENAI_ENGINE_STATS`",
        "`True` makes an engine keep statistics even if the program leaves them off. `False` leaves the choice to the program.",
    ),
}
"""Argument of `instrument()` → its default, and its effect."""


def settings() -> Iterator[str]:
    """A row an environment variable."""
    return table(
        ("Variable", "Values", "Default", "Meaning"),
        ((f"`{row.variable}`", row.values, row.shown_default, row.meaning) for row in SETTINGS),
    )


def arguments() -> Iterator[str]:
    """A row an argument of `instrument()`."""
    return table(
        ("Argument", "Default", "Meaning"),
        ((f"`{name}`", default, meaning) for name, (default, meaning) in ARGUMENTS.items()),
    )
