"""Statistics of vLLM's schedulers: once a step, if they are on.

They are read where vLLM fills its own Prometheus metrics, so that both agree. All engines pass there in vllm 0.8.5 to 0.33.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_genai.instrumentors.vllm.model_name import model_name
from otel_genai.operation import EngineStats
from otel_genai.semconv import otel_genai

if TYPE_CHECKING:
    from otel_genai.endpoint.arguments import Arguments


def engine_stats(arguments: Arguments) -> EngineStats | None:
    """The statistics in a call of `PrometheusStatLogger.record`; `None` if it has none."""
    scheduler = arguments.positional_or_keyword(0, "scheduler_stats")
    iteration = arguments.positional_or_keyword(1, "iteration_stats")
    if scheduler is None and iteration is None:
        return None
    # In vllm 0.8 loggers keep no configuration, and the prefix cache counts blocks, not tokens.
    config = getattr(arguments.instance, "vllm_config", None)
    cache = None if config is None else getattr(scheduler, "prefix_cache_stats", None)
    return EngineStats(
        provider=otel_genai.VLLM,
        model=model_name(arguments.instance),
        engine_index=_index(arguments),
        running=getattr(scheduler, "num_running_reqs", None),
        waiting=_waiting(scheduler),
        kv_cache_utilization=_utilization(scheduler),
        batch_tokens=_batch_tokens(iteration),
        preemptions=getattr(iteration, "num_preempted_reqs", 0),
        prefix_cache_queries=getattr(cache, "queries", 0),
        prefix_cache_hits=getattr(cache, "hits", 0),
    )


def _index(arguments: Arguments) -> int:
    # From vllm 0.10 on, one logger serves all engines and `record` takes the index; before, each engine has a logger.
    index: int | None = arguments.kwargs.get("engine_idx")
    if index is None and arguments.args:
        index = next((argument for argument in arguments.args[2:] if isinstance(argument, int)), None)
    return getattr(arguments.instance, "engine_index", 0) if index is None else index


def _waiting(scheduler: Any) -> int | None:
    # `num_skipped_waiting_reqs` (vllm >= 0.20): requests that cannot be scheduled yet, however much KV cache is free.
    return None if scheduler is None else scheduler.num_waiting_reqs + getattr(scheduler, "num_skipped_waiting_reqs", 0)


def _utilization(scheduler: Any) -> float | None:
    usage: float | None = getattr(scheduler, "kv_cache_usage", None)
    return getattr(scheduler, "gpu_cache_usage", None) if usage is None else usage  # vllm < 0.10


def _batch_tokens(iteration: Any) -> int | None:
    if iteration is None:
        return None
    # Tokens from the prefix cache are not computed. Older versions count them among the prompt tokens.
    prompts = getattr(iteration, "prompt_token_stats", None)
    computed: int = iteration.num_prompt_tokens if prompts is None else prompts.computed
    return computed + int(iteration.num_generation_tokens)
