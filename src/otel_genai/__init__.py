"""OpenTelemetry instrumentation for GenAI clients and servers.

    import otel_genai

    otel_genai.instrument()

switches on every instrumentation whose library is installed, and imports none of those libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_genai.call.manual import ManualCall, ManualOperations
    from otel_genai.content import (
        Blob,
        Compaction,
        File,
        Message,
        Part,
        Prompt,
        Reasoning,
        ServerToolCall,
        ServerToolCallResponse,
        Text,
        Tool,
        ToolCall,
        ToolCallResponse,
        Uri,
    )
    from otel_genai.instrumentors.instrument import instrument, uninstrument
    from otel_genai.operation import EngineStats, Failure, Operation, Phase, Request, Response, Side, Timing, Usage
    from otel_genai.telemetry.observers import Observer, observe
    from otel_genai.version import __version__
else:
    # Lazy: the command line imports this package too, and runs before anything is instrumented. Under `else`, because a type
    # checker takes a module's `__getattr__` as leave to use any name.
    from otel_genai.lazy_exports import lazy_exports

    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "otel_genai.call.manual": ("ManualCall", "ManualOperations"),
            "otel_genai.content": (
                "Blob",
                "Compaction",
                "File",
                "Message",
                "Part",
                "Prompt",
                "Reasoning",
                "ServerToolCall",
                "ServerToolCallResponse",
                "Text",
                "Tool",
                "ToolCall",
                "ToolCallResponse",
                "Uri",
            ),
            "otel_genai.instrumentors.instrument": ("instrument", "uninstrument"),
            "otel_genai.operation": (
                "EngineStats",
                "Failure",
                "Operation",
                "Phase",
                "Request",
                "Response",
                "Side",
                "Timing",
                "Usage",
            ),
            "otel_genai.telemetry.observers": ("Observer", "observe"),
            "otel_genai.version": ("__version__",),
        },
    )

__all__ = [
    "Blob",
    "Compaction",
    "EngineStats",
    "Failure",
    "File",
    "ManualCall",
    "ManualOperations",
    "Message",
    "Observer",
    "Operation",
    "Part",
    "Phase",
    "Prompt",
    "Reasoning",
    "Request",
    "Response",
    "ServerToolCall",
    "ServerToolCallResponse",
    "Side",
    "Text",
    "Timing",
    "Tool",
    "ToolCall",
    "ToolCallResponse",
    "Uri",
    "Usage",
    "__version__",
    "instrument",
    "observe",
    "uninstrument",
]
