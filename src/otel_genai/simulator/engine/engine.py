"""A model on an accelerator, step by step: all requests share its batch, its KV cache and its time.

One task works for all of them, with one timer a step, and is there only while there is work. Every step is due when the step before it
was due plus its own time, so that a late wake-up does not slow the model down.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otel_genai.simulator.engine.inference import Event, Finish, Inference, Prefill, Token, answers
from otel_genai.simulator.engine.lifecycle import Life, Lifecycle, Load, Output
from otel_genai.simulator.engine.scheduler import Scheduler, Sequence
from otel_genai.simulator.engine.text import tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from otel_genai.simulator.engine.profile import Profile
    from otel_genai.simulator.engine.scheduler import Step
    from otel_genai.simulator.faults.faults import Faults

_CATCHES_UP: Final = 1.0
"""Seconds by which the machine may be late before lost time is lost for good."""
_STALLS: Final = 100
"""With stalls on, every step of that number is one."""


@dataclass(slots=True, eq=False)
class _Request:
    """What is under way for one request, and what has come for whoever reads it."""

    open: int
    """Sequences that have not ended."""
    prompts_read: set[int] = field(default_factory=set)
    events: deque[Event] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    failure: BaseException | None = None


@dataclass(slots=True, eq=False)
class _Run:
    """One sequence of a request."""

    request: _Request
    sequence: Sequence
    life: Life
    prompt: int
    """Which of the request's."""
    ends: Finish
    """How it will, unless something comes in between."""


class Engine:
    """Serves all requests from one model. `longest` is the first number of prompt tokens that it does not take."""

    def __init__(
        self,
        journal: Lifecycle,
        profile: Profile,
        faults: Faults,
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.longest = profile.longest()
        self._journal = journal
        self._profile = profile
        self._faults = faults
        self._seed = seed
        self._clock = clock
        self._sleep = sleep
        self._scheduler = Scheduler(profile)
        self._runs: dict[Sequence, _Run] = {}
        self._work: asyncio.Task[None] | None = None
        self._steps = 0
        self._told = (0, 0, 0)

    async def generate(self, inference: Inference) -> AsyncGenerator[Event, None]:
        """The events of one request, each at its time."""
        request = self._take(inference)
        try:
            while request.open or request.events:
                if not request.events:
                    request.news.clear()
                    await request.news.wait()
                    if request.failure is not None:
                        raise request.failure
                while request.events:
                    yield request.events.popleft()
        finally:
            if request.open:
                self._leave(request)

    def _take(self, inference: Inference) -> _Request:
        arrived = self._clock()
        # An empty prompt still has the token that begins it.
        read = [tokens(prompt) or [""] for prompt in inference.prompts]
        said = answers(inference, seed=self._seed)
        lives = self._journal.taken(inference, arrived, [len(prompt) for prompt in read])
        request = _Request(open=len(lives))
        for choice, (life, (answer, reason)) in enumerate(zip(lives, said, strict=True)):
            prompt = choice // inference.sampling.n
            room = max(0, self.longest - len(read[prompt]))
            sequence = Sequence(read[prompt], answer[:room])
            ends = Finish(choice, reason if len(answer) <= room else "length")
            self._runs[sequence] = _Run(request, sequence, life, prompt, ends)
            self._scheduler.add(sequence)
        self._tell_load()
        if self._work is None or self._work.done():
            # In a context of its own: it does not work for the request that happens to be the first.
            self._work = asyncio.create_task(self._step_by_step(), context=Context())
            self._work.add_done_callback(self._ended)
        return request

    def _leave(self, request: _Request) -> None:
        left = [run for run in self._runs.values() if run.request is request]
        for run in left:
            self._scheduler.remove(run.sequence)
            del self._runs[run.sequence]
        request.open = 0
        self._journal.left([run.life for run in left], self._clock())
        self._tell_load()

    async def _step_by_step(self) -> None:
        due = self._clock()
        while self._runs:
            self._scheduler.limit_cache(self._faults.kv_tokens)
            now = self._clock()
            step = self._scheduler.schedule()
            for sequence in step.admitted:
                life = self._runs[sequence].life
                life.scheduled, life.cached_tokens = now, sequence.cached
            due = max(due, now - _CATCHES_UP) + self._seconds(step)
            await self._sleep(max(0.0, due - self._clock()))
            now = self._clock()
            self._journal.statistics.step_lateness.add(max(0.0, now - due))
            self._tell(self._scheduler.complete(step), step.crowded_out, now)
            self._tell_load(step)

    def _seconds(self, step: Step) -> float:
        if not step.work:
            return 0.0
        self._steps += 1
        seconds = self._profile.step_seconds(step.prompt_tokens, step.decoding, slow_decode=self._faults.slow_decode)
        return seconds if self._steps % _STALLS else seconds + self._faults.stall

    def _tell(self, sampled: list[Sequence], crowded_out: list[Sequence], at: float) -> None:
        # Who left while the step was computed is no longer among the runs.
        came = [(self._runs[sequence], self._came(self._runs[sequence])) for sequence in sampled]
        came += [
            (self._runs[sequence], [Finish(self._runs[sequence].ends.choice, "length")])
            for sequence in crowded_out
            if sequence in self._runs
        ]
        self._journal.told([Output(run.life, tuple(events), at) for run, events in came])
        for run, events in came:
            if run.life.is_over:
                del self._runs[run.sequence]
                run.request.open -= 1
            run.request.events.extend(events)
            run.request.news.set()

    def _came(self, run: _Run) -> list[Event]:
        """What a sequence has got by the step that was just computed."""
        sequence, events = run.sequence, list[Event]()
        if run.prompt not in run.request.prompts_read:
            run.request.prompts_read.add(run.prompt)
            events.append(Prefill(run.life.prompt_tokens, run.life.cached_tokens, run.prompt))
        if sequence.generated > run.life.generated:
            events.append(Token(run.ends.choice, sequence.answer[sequence.generated - 1]))
        if sequence.is_complete:
            events.append(run.ends)
        return events

    def _tell_load(self, step: Step | None = None) -> None:
        scheduler, before = self._scheduler, self._told
        self._told = scheduler.preemptions, scheduler.prefix_queries, scheduler.prefix_hits
        preemptions, queries, hits = (now - then for now, then in zip(self._told, before, strict=True))
        self._journal.loaded(
            Load(
                running=len(scheduler.running),
                waiting=len(scheduler.waiting),
                kv_cache_utilization=scheduler.cache.used / max(1, scheduler.cache.capacity),
                batch_tokens=step.tokens if step is not None and step.work else None,
                preemptions=preemptions,
                prefix_cache_queries=queries,
                prefix_cache_hits=hits,
            )
        )

    def _ended(self, work: asyncio.Task[None]) -> None:
        """A fault of our own must not leave anybody waiting."""
        if work.cancelled() or (error := work.exception()) is None:
            return
        for run in self._runs.values():
            run.request.failure = error
            run.request.news.set()
