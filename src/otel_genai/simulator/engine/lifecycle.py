"""The book that engines keep: which requests they have taken, what became of each, and when. Statistics are counted from it.

Both engines write in the same book, and a request is taken in its own task: who instruments the simulator listens here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from otel_genai.simulator.engine.inference import Finish, Token

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_genai.simulator.engine.inference import Event, Inference
    from otel_genai.simulator.engine.statistics import Statistics


@dataclass(slots=True, eq=False)
class Taken:
    """A request that an engine has taken."""

    inference: Inference
    arrived: float


@dataclass(slots=True, eq=False)
class Life:
    """One sequence's times, in seconds on the engine's clock, and counts. `None`: not yet."""

    request: Taken
    prompt_tokens: int
    cached_tokens: int = 0
    scheduled: float | None = None
    read: float | None = None
    """When all of its prompt had been computed: its first token is of the same moment."""
    last_token: float | None = None
    generated: int = 0
    is_over: bool = False


class Output(NamedTuple):
    """What a step brought for one sequence, at which time."""

    life: Life
    events: tuple[Event, ...]
    at: float


class Load(NamedTuple):
    """What an engine has to do now, and what it has done since it last told."""

    running: int
    waiting: int
    kv_cache_utilization: float | None
    """0 to 1; `None` without such a cache."""
    batch_tokens: int | None = None
    """Tokens computed in the step that has just been done; `None` if none was."""
    preemptions: int = 0
    prefix_cache_queries: int = 0
    prefix_cache_hits: int = 0


class Lifecycle:
    """The book of one engine, which serves `model`."""

    def __init__(self, statistics: Statistics, *, model: str) -> None:
        self.statistics = statistics
        self.model = model

    def taken(self, inference: Inference, arrived: float, prompt_tokens: Sequence[int]) -> list[Life]:
        """A request has been taken, whose prompts have so many tokens: its sequences, one a choice."""
        request = Taken(inference, arrived)
        lives = [Life(request, count) for count in prompt_tokens for _ in range(inference.sampling.n)]
        for life in lives:
            self.begun(life)
        return lives

    def begun(self, life: Life) -> None:
        """A sequence of the request that is being taken is to be worked on."""

    def told(self, outputs: Iterable[Output]) -> None:
        """What a step brought. A sequence's first output comes when its prompt has been read, or when there is no room for it."""
        statistics = self.statistics
        for life, events, at in outputs:
            if life.read is None and life.scheduled is not None:
                life.read = at
                statistics.prompt_tokens += life.prompt_tokens
            for event in events:
                if isinstance(event, Token):
                    if life.last_token is None:
                        statistics.time_to_first_token.add(at - life.request.arrived)
                    else:
                        statistics.inter_token_latency.add(at - life.last_token)
                    life.last_token = at
                    life.generated += 1
                    statistics.generation_tokens += 1
                elif isinstance(event, Finish):
                    self.ended(life, event.reason, at)

    def left(self, lives: Iterable[Life], at: float) -> None:
        """Nobody wants these sequences of a request any more."""
        for life in lives:
            self.ended(life, "abort", at)

    def ended(self, life: Life, reason: str, at: float) -> None:
        """A sequence is over."""
        statistics = self.statistics
        life.is_over = True
        statistics.finished[reason] += 1
        statistics.e2e_latency.add(at - life.request.arrived)
        if life.scheduled is None:
            return
        statistics.queue_time.add(life.scheduled - life.request.arrived)
        if life.read is None:
            return
        statistics.prefill_time.add(life.read - life.scheduled)
        if life.last_token is not None:
            decode = life.last_token - life.read
            statistics.decode_time.add(decode)
            if life.generated > 1:
                statistics.time_per_output_token.add(decode / (life.generated - 1))

    def loaded(self, load: Load) -> None:
        """What the engine has to do now."""
        statistics = self.statistics
        statistics.running = load.running
        statistics.waiting = load.waiting
        statistics.kv_cache_utilization = load.kv_cache_utilization or 0.0
        statistics.preemptions += load.preemptions
        statistics.prefix_cache_queries += load.prefix_cache_queries
        statistics.prefix_cache_hits += load.prefix_cache_hits
        if load.batch_tokens is not None:
            statistics.iteration_tokens.add(load.batch_tokens)
