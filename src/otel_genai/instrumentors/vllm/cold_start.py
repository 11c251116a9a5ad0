"""The cold start of a process with an engine: the functions of vLLM that begin to make one."""

from __future__ import annotations

from typing import Final

from otel_genai.endpoint.server_rows import StartupRow
from otel_genai.operation import Request, Side
from otel_genai.semconv import otel_genai

_COLD_START: Final = Request(operation=otel_genai.COLD_START, provider=otel_genai.VLLM, side=Side.INTERNAL)

ROWS: Final = (
    # The server binds its port first, under a span of vLLM's own. vLLM has moved the function.
    *(
        StartupRow(module=f"vllm.{module}", target="setup_server", request=_COLD_START, optional=True)
        for module in ("entrypoints.launchers.launcher", "entrypoints.openai.api_server")
    ),
    StartupRow(module="vllm.v1.engine.async_llm", target="AsyncLLM.__init__", request=_COLD_START),
    StartupRow(module="vllm.v1.engine.llm_engine", target="LLMEngine.__init__", request=_COLD_START),
)
