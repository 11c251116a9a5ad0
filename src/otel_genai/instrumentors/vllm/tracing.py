"""The spans that vLLM makes by itself: those of loading (since 0.17) in one trace, that of each request (since 0.10) only on demand.

Names are looked up in vLLM's own modules at each call, so that it does not matter which of them were imported before.
"""

from __future__ import annotations

from typing import Final

from otel_genai.endpoint.rows import LibrarySpansRow

ROWS: Final = (
    # `llm_request`, which says what the request's span says.
    LibrarySpansRow(
        module="vllm.v1.engine.output_processor", target="OutputProcessor.do_tracing", part="report", optional=True
    ),
    LibrarySpansRow(module="vllm.tracing.otel", target="_get_smart_context", part="parent"),
    # The engine sets a provider if it is given an endpoint; until 0.16 all of tracing was one module.
    LibrarySpansRow(module="vllm.tracing.otel", target="set_tracer_provider", part="provider"),
    LibrarySpansRow(module="vllm.tracing", target="set_tracer_provider", part="provider", optional=True),
)
