"""vLLM's own spans. Those of loading (vllm >= 0.17) join one trace; that of a request (vllm >= 0.10) is left out unless asked for.

The rows name vLLM's own modules. Their names are looked up at each call, so it does not matter which module was imported first.
"""

from __future__ import annotations

from typing import Final

from otel_genai.endpoint.server_rows import LibrarySpansRow

ROWS: Final = (
    # `llm_request`, a duplicate of our span of the request.
    LibrarySpansRow(
        module="vllm.v1.engine.output_processor", target="OutputProcessor.do_tracing", part="report", optional=True
    ),
    LibrarySpansRow(module="vllm.tracing.otel", target="_get_smart_context", part="parent"),
    # The engine sets a provider if it is given an endpoint. Until vllm 0.16 all of tracing is one module.
    LibrarySpansRow(module="vllm.tracing.otel", target="set_tracer_provider", part="provider"),
    LibrarySpansRow(module="vllm.tracing", target="set_tracer_provider", part="provider", optional=True),
)
