"""How a library's calls read: endpoints, their arguments, and the rows of a provider's table."""

from __future__ import annotations

from otel_genai.endpoint.arguments import Arguments
from otel_genai.endpoint.endpoint import (
    Endpoint,
    Fold,
    RequestState,
    SteppedRequestState,
    StreamerFold,
    StreamerHook,
    StreamerTee,
    Unstreamed,
)
from otel_genai.endpoint.rows import (
    ArgumentRow,
    AsgiAppRow,
    CallRow,
    ContextRow,
    EngineRow,
    LibrarySpansRow,
    PhaseRow,
    RequestHeadersRow,
    ResponseHeadersRow,
    Row,
    StartupRow,
    StatsRow,
    StepRow,
)

__all__ = [
    "ArgumentRow",
    "Arguments",
    "AsgiAppRow",
    "CallRow",
    "ContextRow",
    "Endpoint",
    "EngineRow",
    "Fold",
    "LibrarySpansRow",
    "PhaseRow",
    "RequestHeadersRow",
    "RequestState",
    "ResponseHeadersRow",
    "Row",
    "StartupRow",
    "StatsRow",
    "StepRow",
    "SteppedRequestState",
    "StreamerFold",
    "StreamerHook",
    "StreamerTee",
    "Unstreamed",
]
