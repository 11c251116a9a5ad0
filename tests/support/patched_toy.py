"""The toy library as a module with one client class, patched by one provider's rows."""

from __future__ import annotations

import asyncio
import sys
import types
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from otel_genai.config import Config
from otel_genai.endpoint.rows import CallRow
from otel_genai.patching.patches import Patches
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.toy_library import TOY

if TYPE_CHECKING:
    from otel_genai.endpoint.endpoint import Endpoint
    from tests.support.providers import Recorded

SPAN_IN_LIBRARY: list[trace.SpanContext] = []
"""The current span, each time that the library worked."""


def library() -> types.ModuleType:
    """A new `toy_library`."""
    module = types.ModuleType("toy_library")

    class Client:
        def create(self, *, result: Any, model: str | None = None, text: str = "") -> Any:
            SPAN_IN_LIBRARY.append(trace.get_current_span().get_span_context())
            if isinstance(result, BaseException):
                raise result
            return result

        async def acreate(self, *, result: Any, model: str | None = None, text: str = "") -> Any:
            await asyncio.sleep(0)
            if isinstance(result, asyncio.Event):
                await result.wait()
            return self.create(result=result)

    module.Client = Client  # type: ignore[attr-defined]
    return module


class PatchedToy:
    """The library, imported and patched."""

    def __init__(self, recorded: Recorded, config: Config | None = None, endpoint: Endpoint = TOY) -> None:
        self.recorded = recorded
        self.module = library()
        sys.modules["toy_library"] = self.module
        self.telemetry = Telemetry("toy", "1", config or Config(), **recorded.providers)
        self.patches = Patches(
            (
                CallRow(module="toy_library", target="Client.create", endpoint=endpoint),
                CallRow(module="toy_library", target="Client.acreate", endpoint=endpoint, awaits=True),
            ),
            lambda: self.telemetry,
        )
        self.patches.apply()

    @property
    def client(self) -> Any:
        """A new client."""
        return self.module.Client()
