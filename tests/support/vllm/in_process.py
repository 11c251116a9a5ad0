"""Real vLLM engines in the tests' own process: each starts in about a second."""

from __future__ import annotations

import asyncio
import os
import types
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

MODEL: Final = "tiny"
PROMPT: Final = "The lighthouse keeper counted"
PHASES: Final = ("queue", "prefill", "decode")
_ENVIRONMENT: Final = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "OMP_NUM_THREADS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}


_kept: list[Any] = []
"""Every engine so far. Garbage collection of one would destroy the process groups of all (vllm 0.32 distributed/parallel_state.py)."""


def options(model: Path, **more: Any) -> dict[str, Any]:
    """The options of every engine of these tests."""
    os.environ.update(_ENVIRONMENT)
    return {
        "model": str(model),
        "served_model_name": MODEL,
        "enforce_eager": True,
        "dtype": "float32",
        "max_model_len": 512,
        "block_size": 32,  # so that the prefix cache holds prompts of more than 32 tokens
        "distributed_executor_backend": "uni",
        "disable_log_stats": False,
        **more,
    }


def make_llm(model: Path, **more: Any) -> Any:
    """An `LLM`."""
    arguments = options(model, **more)
    import vllm

    llm = vllm.LLM(**arguments)
    _kept.append(llm)
    return llm


def make_async_llm(model: Path) -> Any:
    """An `AsyncLLM` whose engine core is in this process instead of a child."""
    arguments = options(model)
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine import core_client
    from vllm.v1.engine.async_llm import AsyncLLM

    real = core_client.EngineCoreClient.make_async_mp_client
    core_client.EngineCoreClient.make_async_mp_client = staticmethod(_core_in_process(core_client))
    try:
        return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
    finally:
        core_client.EngineCoreClient.make_async_mp_client = real


def _core_in_process(core_client: Any) -> Callable[..., Any]:
    # Uses private names of vllm 0.32.
    class Core(core_client.InprocClient):  # type: ignore[misc]
        def __init__(self, vllm_config: Any, executor_class: Any, log_stats: bool, **_: Any) -> None:
            super().__init__(vllm_config, executor_class, log_stats)
            self.engine_ranks_managed = [0]
            self.resources = types.SimpleNamespace(engine_dead=False)
            self.error: Exception | None = None
            """The exception that the engine dies of next."""
            self._work, self._thread = asyncio.Event(), ThreadPoolExecutor(1)

        async def _run(self, call: Any, *arguments: Any) -> Any:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

        async def get_supported_tasks_async(self) -> Any:
            return await self._run(self.get_supported_tasks)

        async def add_request_async(self, request: Any) -> None:
            await self._run(self.add_request, request)
            self._work.set()

        async def abort_requests_async(self, ids: Any) -> None:
            if ids:
                await self._run(self.abort_requests, ids)

        async def get_output_async(self) -> Any:
            while True:
                await self._work.wait()
                if self.error is not None:
                    error, self.error = self.error, None
                    raise error
                out = await self._run(self._output)
                if out is not None:
                    return out
                self._work.clear()

        def _output(self) -> Any:
            return self.get_output() if self.engine_core.scheduler.has_requests() else None

    return Core


def sampling(**settings: Any) -> Any:
    """Greedy sampling of five tokens, with other `settings`."""
    from vllm import SamplingParams

    return SamplingParams(**{"temperature": 0.0, "max_tokens": 5, **settings})


def phases(span: ReadableSpan) -> dict[str, Any]:
    """The phases of a span by name, in seconds."""
    prefix = "otel_genai.phase."
    return {
        name.removeprefix(prefix): value for name, value in (span.attributes or {}).items() if name.startswith(prefix)
    }
