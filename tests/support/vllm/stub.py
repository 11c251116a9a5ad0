"""vLLM without a model: modules, classes and signatures of 0.8.5 to 0.33, and an engine that generates the tokens of a test.

A request passes the same methods as in vLLM: `add_request`, the output processor, steps, and the end of each sequence.
"""

from __future__ import annotations

import enum
import sys
import time
import types
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence


class OutputKind(enum.Enum):
    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


class FinishReason(enum.IntEnum):
    STOP = 0
    LENGTH = 1
    ABORT = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass
class SamplingParams:
    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: str | list[str] | None = None
    max_tokens: int | None = 16
    output_kind: OutputKind = OutputKind.CUMULATIVE
    structured_outputs: Any = None


@dataclass
class PoolingParams:
    task: str | None = None
    dimensions: int | None = None


@dataclass
class Statistics:
    queued_ts: float = 0.0
    scheduled_ts: float = 0.0
    first_token_ts: float = 0.0
    last_token_ts: float = 0.0


@dataclass
class EngineCoreRequest:
    request_id: str
    params: Any
    prompt_token_ids: list[int]
    arrival_time: float
    external_req_id: str
    resumable: bool = False


@dataclass
class EngineCoreOutput:
    request_id: str
    new_token_ids: list[int] = field(default_factory=list)
    finish_reason: FinishReason | None = None


class Detokenizer:
    def __init__(self) -> None:
        self.output_token_ids: list[int] = []

    @property
    def output_text(self) -> str:
        return " ".join(map(str, self.output_token_ids))


class Tokenizer:
    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(f"token{number}" for number in ids)


class RequestState:
    def __init__(self, request: EngineCoreRequest, *, log_stats: bool) -> None:
        self.request_id = request.request_id
        self.prompt_len = len(request.prompt_token_ids)
        self.num_cached_tokens = 0
        self.detokenizer = Detokenizer() if isinstance(request.params, SamplingParams) else None
        self.stats = Statistics() if log_stats else None


class OutputProcessor:
    def __init__(self, *, log_stats: bool) -> None:
        self.log_stats = log_stats
        self.tokenizer = Tokenizer()
        self.request_states: dict[str, RequestState] = {}

    def add_request(
        self,
        request: EngineCoreRequest,
        prompt: str | None,
        parent_req: Any = None,
        request_index: int = 0,
        queue: Any = None,
    ) -> None:
        state = self.request_states.get(request.request_id)
        if state is None:
            self.request_states[request.request_id] = RequestState(request, log_stats=self.log_stats)
        elif not request.resumable:
            # A session with streamed input: its input has ended, and the engine has answered all of it.
            del self.request_states[request.request_id]

    def process_outputs(
        self,
        engine_core_outputs: list[EngineCoreOutput],
        engine_core_timestamp: float | None = None,
        iteration_stats: Any = None,
    ) -> None:
        for output in engine_core_outputs:
            state = self.request_states.get(output.request_id)
            if state is None:
                continue
            if state.stats is not None and output.new_token_ids:
                moment = engine_core_timestamp or 0.0
                state.stats.first_token_ts = state.stats.first_token_ts or moment
                state.stats.last_token_ts = moment
            if state.detokenizer is not None:
                state.detokenizer.output_token_ids += output.new_token_ids
            if output.finish_reason is not None:
                del self.request_states[output.request_id]
                self._update_stats_from_finished(state, output.finish_reason, iteration_stats)

    def _update_stats_from_finished(
        self, req_state: RequestState, finish_reason: FinishReason | None, iteration_stats: Any
    ) -> None:
        pass

    def abort_requests(self, request_ids: Sequence[str], internal: bool = False) -> list[str]:
        known = [name for given in request_ids for name in list(self.request_states) if name.endswith(given)]
        for name in known:
            del self.request_states[name]
        return known

    def propagate_error(self, e: Exception) -> None:
        pass


class _Engine:
    def __init__(self, model: str = "org/model", *, served: Any = None, log_stats: bool = False) -> None:
        self.model_config = types.SimpleNamespace(model=model, served_model_name=model if served is None else served)
        self.output_processor = OutputProcessor(log_stats=log_stats)
        self.steps: list[Any] = []

    def _add(self, request_id: str, prompt: Any, params: Any, arrival_time: float | None = None) -> None:
        if isinstance(prompt, EngineCoreRequest):
            prompt, params = {"prompt_token_ids": prompt.prompt_token_ids}, prompt.params
        if prompt == "refused":
            raise ValueError("the prompt of Zanzibar is too long")
        ids = prompt["prompt_token_ids"] if isinstance(prompt, dict) else list(range(len(prompt.split())))
        count = getattr(params, "n", 1)
        for index in range(count):
            name = request_id if count == 1 else f"{index}_{request_id}"
            request = EngineCoreRequest(name, params, ids, arrival_time or time.time(), request_id)
            self.output_processor.add_request(request, None)

    def process(self, *outputs: EngineCoreOutput, at: float | None = None) -> None:
        """Process the outputs of one step."""
        self.output_processor.process_outputs(list(outputs), at)


class LLMEngine(_Engine):
    def add_request(
        self,
        request_id: str,
        prompt: Any,
        params: Any,
        arrival_time: float | None = None,
        lora_request: Any = None,
        **options: Any,
    ) -> str:
        self._add(request_id, prompt, params, arrival_time)
        return request_id

    def step(self) -> list[Any]:
        step = self.steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        self.process(*step)
        return []


class AsyncLLM(_Engine):
    async def add_request(self, request_id: str, prompt: Any, params: Any, *more: Any, **options: Any) -> str:
        self._add(request_id, prompt, params)
        for step in self.steps:
            # The engine answers before `add_request` returns.
            self.process(*step)
        if prompt == "dies":
            raise RuntimeError("the engine is gone")
        return request_id


class LLM:
    def __init__(self, engine: LLMEngine) -> None:
        self.llm_engine = engine

    def generate(self, prompts: list[str], sampling_params: Any = None) -> list[str]:
        return self._run(prompts, sampling_params or SamplingParams(output_kind=OutputKind.FINAL_ONLY))

    def chat(self, messages: Any, sampling_params: Any = None) -> list[str]:
        return self.generate(["conversation"], sampling_params)

    def embed(self, prompts: list[str]) -> list[str]:
        return self.encode(prompts)

    def encode(self, prompts: list[str]) -> list[str]:
        return self._run(prompts, PoolingParams("embed"))

    def beam_search(self, prompts: list[str], params: Any) -> list[Any]:
        self._run(prompts, SamplingParams(max_tokens=1))
        return [
            types.SimpleNamespace(
                sequences=[
                    types.SimpleNamespace(tokens=[0, 1, 2, 3], logprobs=[{}, {}], text="found", finish_reason="stop")
                ]
            )
            for _ in prompts
        ]

    def _run(self, prompts: list[str], params: Any) -> list[str]:
        names = [str(number) for number, _ in enumerate(prompts)]
        for name, prompt in zip(names, prompts, strict=True):
            self.llm_engine.add_request(name, prompt, params)
        self.llm_engine.steps.append([EngineCoreOutput(name, [1, 2], FinishReason.LENGTH) for name in names])
        self.llm_engine.step()
        return names


class BeamSearchOnlineMixin:
    def __init__(self, engine: AsyncLLM) -> None:
        self.engine_client = engine

    async def beam_search(self, prompt: Any, request_id: str, params: Any, **options: Any) -> AsyncIterator[Any]:
        await self.engine_client.add_request(f"{request_id}-beam-0", prompt, SamplingParams(max_tokens=1))
        output = types.SimpleNamespace(text="found", token_ids=[2, 3], finish_reason="length")
        yield types.SimpleNamespace(request_id=request_id, outputs=[output] * 2, prompt_token_ids=[0, 1])


_MODULES = {
    "vllm": (),
    "vllm.v1": (),
    "vllm.v1.engine": (),
    "vllm.v1.engine.output_processor": (OutputProcessor,),
    "vllm.v1.engine.llm_engine": (LLMEngine,),
    "vllm.v1.engine.async_llm": (AsyncLLM,),
    "vllm.entrypoints": (),
    "vllm.entrypoints.llm": (LLM,),
    "vllm.entrypoints.generate": (),
    "vllm.entrypoints.generate.beam_search": (),
    "vllm.entrypoints.generate.beam_search.online": (BeamSearchOnlineMixin,),
}


@contextmanager
def importable() -> Iterator[None]:
    """Have `import vllm` find the stub, with new modules each time."""
    from importlib.abc import Loader, MetaPathFinder
    from importlib.machinery import ModuleSpec

    class Finder(MetaPathFinder, Loader):
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
            return ModuleSpec(name, self, is_package=True) if name in _MODULES else None

        def exec_module(self, module: types.ModuleType) -> None:
            for kind in _MODULES[module.__name__]:
                setattr(module, kind.__name__, kind)

    finder = Finder()
    sys.meta_path.append(finder)  # behind the import hook
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in _MODULES:
            sys.modules.pop(name, None)
