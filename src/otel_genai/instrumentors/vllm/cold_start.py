"""Where a process that serves with vLLM makes its engine: from its start until its first answer, that is one cold start."""

from __future__ import annotations

from typing import Final

from otel_genai.endpoint.rows import StartupRow
from otel_genai.operation import Request, Side
from otel_genai.semconv import otel_genai

_COLD_START: Final = Request(operation=otel_genai.COLD_START, provider=otel_genai.VLLM, side=Side.INTERNAL)

ROWS: Final = (
    # The server binds its port first, and has a span of its own for that. It has moved.
    *(
        StartupRow(module=f"vllm.{module}", target="setup_server", of=_COLD_START, optional=True)
        for module in ("entrypoints.launchers.launcher", "entrypoints.openai.api_server")
    ),
    StartupRow(module="vllm.v1.engine.async_llm", target="AsyncLLM.__init__", of=_COLD_START),
    StartupRow(module="vllm.v1.engine.llm_engine", target="LLMEngine.__init__", of=_COLD_START),
)
