"""What a user can set: read from the environment once, when instrumentation is switched on, and frozen.

`SETTINGS` documents every variable; a value that nobody understands is one warning and the default.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from otel_genai.semconv.metrics import LATEST, V1_41, Vintage

if TYPE_CHECKING:
    from collections.abc import Mapping

_logger = logging.getLogger("otel_genai")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable, as the documentation shows it."""

    variable: str
    values: str
    default: str
    meaning: str


CAPTURE_CONTENT: Final = Setting(
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    "NO_CONTENT | SPAN_ONLY | EVENT_ONLY | SPAN_AND_EVENT (also: true, false)",
    "NO_CONTENT",
    "Where prompts and answers are recorded. `true` means SPAN_AND_EVENT.",
)
EMIT_EVENT: Final = Setting(
    "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
    "true | false",
    "true if content goes to events, else false",
    "Whether each inference emits the event `gen_ai.client.inference.operation.details`.",
)
STABILITY: Final = Setting(
    "OTEL_SEMCONV_STABILITY_OPT_IN",
    "gen_ai_latest_experimental | gen_ai_latest_experimental/dup, in a comma-separated list with others'",
    "metrics of v1.41",
    "Which vintage of metrics is written: the latest instead of v1.41, or (`/dup`) both. Spans and events always follow the latest.",
)
SETTINGS: Final = (CAPTURE_CONTENT, EMIT_EVENT, STABILITY)

# (on spans, on events)
_CAPTURE_MODES: Final = {
    "no_content": (False, False),
    "span_only": (True, False),
    "event_only": (False, True),
    "span_and_event": (True, True),
    "true": (True, True),
    "false": (False, False),
}
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings in force for one instrumentation."""

    content_on_spans: bool = False
    content_on_events: bool = False
    emit_event: bool = False
    vintages: tuple[Vintage, ...] = (V1_41,)

    @property
    def captures_content(self) -> bool:
        """Whether prompts and answers are wanted anywhere."""
        return self.content_on_spans or self.content_on_events

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Config:
        """The settings that the variables in `SETTINGS` ask for."""
        on_spans, on_events = _choice(environ, CAPTURE_CONTENT, _CAPTURE_MODES, (False, False))
        return cls(
            content_on_spans=on_spans,
            content_on_events=on_events,
            emit_event=_choice(environ, EMIT_EVENT, _BOOLEANS, on_events),
            vintages=_vintages(environ.get(STABILITY.variable, "")),
        )


def _choice(environ: Mapping[str, str], setting: Setting, choices: Mapping[str, _Value], default: _Value) -> _Value:
    value = environ.get(setting.variable, "").strip()
    if not value:
        return default
    try:
        return choices[value.lower()]
    except KeyError:
        _logger.warning("%s=%r is not understood and ignored. Use one of: %s", setting.variable, value, setting.values)
        return default


def _vintages(opt_in: str) -> tuple[Vintage, ...]:
    # The variable is shared by all instrumentations: words that are not ours belong to others.
    words = {word.strip().lower() for word in opt_in.split(",")}
    if "gen_ai_latest_experimental/dup" in words:
        return (V1_41, LATEST)
    return (LATEST,) if "gen_ai_latest_experimental" in words else (V1_41,)
