"""The life of requests in an engine: submitted, worked on in steps, finished or cancelled.

An engine reports each event to its `Lifecycle`, which counts it in the statistics and passes it on to an observer. Times are in seconds
on the engine's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from otel_genai.operation import time_per_output_token
from otel_genai.simulator.engine.inference import Finish, Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_genai.simulator.engine.inference import Event, Inference
    from otel_genai.simulator.engine.statistics import Statistics

ABORT: Final = "abort"
"""The finish reason of a cancelled sequence, as in vLLM (vllm 0.32 v1/engine/__init__.py)."""


@dataclass(slots=True, eq=False)
class SubmittedRequest:
    """A request that an engine has accepted."""

    inference: Inference
    submitted: float


@dataclass(slots=True, eq=False)
class SequenceTimes:
    """One sequence's times and counts. `None`: not yet."""

    request: SubmittedRequest
    prompt_tokens: int
    cached_tokens: int = 0
    scheduled: float | None = None
    prefilled: float | None = None
    """When all of its prompt is computed: its first token has the same time."""
    last_token: float | None = None
    generated: int = 0
    is_finished: bool = False


class StepOutput(NamedTuple):
    """The events of one sequence in one step, and the step's end."""

    sequence: SequenceTimes
    events: tuple[Event, ...]
    at: float


class EngineLoad(NamedTuple):
    """The state of an engine, and its counts since the last report."""

    running: int
    """Sequences."""
    waiting: int
    """Sequences."""
    kv_cache_utilization: float | None
    """0 to 1; `None` without such a cache."""
    batch_tokens: int | None = None
    """Tokens computed in the step that this report follows; `None` if it follows none."""
    preemptions: int = 0
    prefix_cache_queries: int = 0
    """Tokens."""
    prefix_cache_hits: int = 0
    """Tokens."""


class Observer(Protocol):
    """Receives the events of one engine, each after it is counted. No method raises."""

    def submitted(self, request: SubmittedRequest, sequences: Sequence[SequenceTimes]) -> None:
        """The engine accepts a request, in the task of that request. `sequences` are in the order of its choices."""

    def step(self, outputs: Sequence[StepOutput]) -> None:
        """A step is done. A sequence with a `Finish` among its events is over."""

    def cancelled(self, sequences: Sequence[SequenceTimes]) -> None:
        """The caller of one request no longer wants these sequences, which are over."""

    def stats(self, load: EngineLoad) -> None:
        """The engine reports its load."""


class Lifecycle:
    """The events of one engine."""

    def __init__(self, statistics: Statistics, observer: Observer | None = None) -> None:
        self.statistics = statistics
        self._observer = observer

    def submitted(self, inference: Inference, at: float, prompt_tokens: Sequence[int]) -> list[SequenceTimes]:
        """The engine accepts a request, in the task of that request. Returns its sequences, one a choice.

        `prompt_tokens` are the lengths of its prompts.
        """
        request = SubmittedRequest(inference, at)
        sequences = [SequenceTimes(request, count) for count in prompt_tokens for _ in range(inference.sampling.n)]
        if self._observer is not None:
            self._observer.submitted(request, sequences)
        return sequences

    def step(self, outputs: Sequence[StepOutput]) -> None:
        """A step is done. A sequence's first output follows its prefill, or its failure to fit the cache."""
        statistics = self.statistics
        for sequence, events, at in outputs:
            if sequence.prefilled is None and sequence.scheduled is not None:
                sequence.prefilled = at
                statistics.prompt_tokens += sequence.prompt_tokens
            for event in events:
                if isinstance(event, Token):
                    if sequence.last_token is None:
                        statistics.time_to_first_token.add(at - sequence.request.submitted)
                    else:
                        statistics.inter_token_latency.add(at - sequence.last_token)
                    sequence.last_token = at
                    sequence.generated += 1
                    statistics.generation_tokens += 1
                elif isinstance(event, Finish):
                    self._finish(sequence, event.reason, at)
        if self._observer is not None:
            self._observer.step(outputs)

    def cancelled(self, sequences: Sequence[SequenceTimes], at: float) -> None:
        """The caller of one request no longer wants these sequences."""
        for sequence in sequences:
            self._finish(sequence, ABORT, at)
        if self._observer is not None:
            self._observer.cancelled(sequences)

    def _finish(self, sequence: SequenceTimes, reason: str, at: float) -> None:
        statistics = self.statistics
        sequence.is_finished = True
        statistics.finished[reason] += 1
        statistics.e2e_latency.add(at - sequence.request.submitted)
        if sequence.scheduled is None:
            return
        statistics.queue_time.add(sequence.scheduled - sequence.request.submitted)
        if sequence.prefilled is None:
            return
        statistics.prefill_time.add(sequence.prefilled - sequence.scheduled)
        if sequence.last_token is not None:
            decode = sequence.last_token - sequence.prefilled
            statistics.decode_time.add(decode)
            per_token = time_per_output_token(decode, sequence.generated)
            if per_token is not None:
                statistics.time_per_output_token.add(per_token)

    def stats(self, load: EngineLoad) -> None:
        """The engine reports its load: after every step, and whenever a request comes or goes."""
        statistics = self.statistics
        statistics.running = load.running
        statistics.waiting = load.waiting
        statistics.kv_cache_utilization = load.kv_cache_utilization or 0.0
        statistics.preemptions += load.preemptions
        statistics.prefix_cache_queries += load.prefix_cache_queries
        statistics.prefix_cache_hits += load.prefix_cache_hits
        if load.batch_tokens is not None:
            statistics.iteration_tokens.add(load.batch_tokens)
        if self._observer is not None:
            self._observer.stats(load)
