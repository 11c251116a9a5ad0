"""How a library's calls read: endpoints, their arguments, and the rows of a provider's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        CallRow,
        ContextRow,
        PhaseRow,
        RequestHeadersRow,
        ResponseHeadersRow,
        Row,
        StepRow,
    )
    from otel_genai.endpoint.server_rows import (
        ArgumentRow,
        AsgiAppRow,
        EngineRow,
        LibrarySpansRow,
        StartupRow,
        StatsRow,
    )
else:
    # Lazy: a table of rows is read at the start of a program, its endpoints at the first call.
    from otel_genai.lazy_exports import lazy_exports

    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "otel_genai.endpoint.arguments": ("Arguments",),
            "otel_genai.endpoint.endpoint": (
                "Endpoint",
                "Fold",
                "RequestState",
                "SteppedRequestState",
                "StreamerFold",
                "StreamerHook",
                "StreamerTee",
                "Unstreamed",
            ),
            "otel_genai.endpoint.rows": (
                "CallRow",
                "ContextRow",
                "PhaseRow",
                "RequestHeadersRow",
                "ResponseHeadersRow",
                "Row",
                "StepRow",
            ),
            "otel_genai.endpoint.server_rows": (
                "ArgumentRow",
                "AsgiAppRow",
                "EngineRow",
                "LibrarySpansRow",
                "StartupRow",
                "StatsRow",
            ),
        },
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
