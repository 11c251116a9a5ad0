"""A model on an accelerator, step by step: all requests share its batch, its KV cache and its time.

One task works for all requests, with one timer a step, and exists only while there is work. A step is due at the due time of the
step before it plus its own duration, so that a late wake-up does not slow the model down.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otel_genai.simulator.engine.inference import Event, Finish, Inference, Prefill, Token, answers
from otel_genai.simulator.engine.lifecycle import EngineLoad, Lifecycle, SequenceTimes, StepOutput
from otel_genai.simulator.engine.scheduler import Scheduler, Sequence
from otel_genai.simulator.engine.text import tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from otel_genai.simulator.engine.profile import Profile
    from otel_genai.simulator.engine.scheduler import Step
    from otel_genai.simulator.faults.faults import Faults

_MOST_LATENESS: Final = 1.0
"""Seconds of lateness that the engine makes up for. Lateness beyond that is lost for good."""
_STALL_INTERVAL: Final = 100
"""Steps between two stalls, while the fault `stall` is on."""


@dataclass(slots=True, eq=False)
class _Request:
    """The state of one request, and the events that its reader has not fetched yet."""

    open: int
    """Sequences that have not ended."""
    prefilled_prompts: set[int] = field(default_factory=set)
    events: deque[Event] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    failure: BaseException | None = None


@dataclass(slots=True, eq=False)
class _Run:
    """One sequence of a request."""

    request: _Request
    sequence: Sequence
    times: SequenceTimes
    prompt: int
    """The index of its prompt in the request."""
    finish: Finish
    """Its last event, unless the cache cannot hold it or its caller leaves."""


class Engine:
    """Serves all requests from one model. `context_length` is the longest sequence in tokens: a prompt must be shorter."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        profile: Profile,
        faults: Faults,
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.context_length = profile.context_length()
        self._lifecycle = lifecycle
        self._profile = profile
        self._faults = faults
        self._seed = seed
        self._clock = clock
        self._sleep = sleep
        self._scheduler = Scheduler(profile)
        self._runs: dict[Sequence, _Run] = {}
        self._work: asyncio.Task[None] | None = None
        self._steps = 0
        self._reported = (0, 0, 0)

    async def generate(self, inference: Inference) -> AsyncGenerator[Event, None]:
        """The events of one request, each at its time."""
        request = self._submit(inference)
        try:
            while request.open or request.events:
                if not request.events:
                    request.changed.clear()
                    await request.changed.wait()
                    if request.failure is not None:
                        raise request.failure
                while request.events:
                    yield request.events.popleft()
        finally:
            if request.open:
                self._cancel(request)

    def _submit(self, inference: Inference) -> _Request:
        submitted = self._clock()
        # An empty prompt still has the token that begins it.
        prompts = [tokens(prompt) or [""] for prompt in inference.prompts]
        planned = answers(inference, seed=self._seed)
        sequences = self._lifecycle.submitted(inference, submitted, [len(prompt) for prompt in prompts])
        request = _Request(open=len(sequences))
        for choice, (times, (answer, reason)) in enumerate(zip(sequences, planned, strict=True)):
            prompt = choice // inference.sampling.n
            limit = max(0, self.context_length - len(prompts[prompt]))
            sequence = Sequence(prompts[prompt], answer[:limit])
            finish = Finish(choice, reason if len(answer) <= limit else "length")
            self._runs[sequence] = _Run(request, sequence, times, prompt, finish)
            self._scheduler.add(sequence)
        self._report_load()
        if self._work is None or self._work.done():
            # In an empty context: the task works for all requests, not for the one that starts it.
            self._work = asyncio.create_task(self._step_by_step(), context=Context())
            self._work.add_done_callback(self._work_ended)
        return request

    def _cancel(self, request: _Request) -> None:
        runs = [run for run in self._runs.values() if run.request is request]
        for run in runs:
            self._scheduler.remove(run.sequence)
            del self._runs[run.sequence]
        request.open = 0
        self._lifecycle.cancelled([run.times for run in runs], self._clock())
        self._report_load()

    async def _step_by_step(self) -> None:
        due = self._clock()
        while self._runs:
            self._scheduler.limit_cache(self._faults.kv_tokens)
            now = self._clock()
            step = self._scheduler.schedule()
            for sequence in step.admitted:
                times = self._runs[sequence].times
                times.scheduled, times.cached_tokens = now, sequence.cached
            due = max(due, now - _MOST_LATENESS) + self._seconds(step)
            await self._sleep(max(0.0, due - self._clock()))
            now = self._clock()
            self._lifecycle.statistics.step_lateness.add(max(0.0, now - due))
            self._deliver(self._scheduler.complete(step), step.too_long, now)
            self._report_load(step)

    def _seconds(self, step: Step) -> float:
        if not step.work:
            return 0.0
        self._steps += 1
        seconds = self._profile.step_seconds(step.prompt_tokens, step.decoding, slow_decode=self._faults.slow_decode)
        return seconds if self._steps % _STALL_INTERVAL else seconds + self._faults.stall

    def _deliver(self, sampled: list[Sequence], too_long: list[Sequence], at: float) -> None:
        outputs = [(self._runs[sequence], self._events(self._runs[sequence])) for sequence in sampled]
        outputs += [
            (self._runs[sequence], [Finish(self._runs[sequence].finish.choice, "length")])
            for sequence in too_long
            # A sequence that was cancelled during the step has no run any more.
            if sequence in self._runs
        ]
        self._lifecycle.step([StepOutput(run.times, tuple(events), at) for run, events in outputs])
        for run, events in outputs:
            if run.times.is_finished:
                del self._runs[run.sequence]
                run.request.open -= 1
            run.request.events.extend(events)
            run.request.changed.set()

    def _events(self, run: _Run) -> list[Event]:
        """The events of a sequence in the step that has just been computed."""
        sequence, events = run.sequence, list[Event]()
        if run.prompt not in run.request.prefilled_prompts:
            run.request.prefilled_prompts.add(run.prompt)
            events.append(Prefill(run.times.prompt_tokens, run.times.cached_tokens, run.prompt))
        if sequence.generated > run.times.generated:
            events.append(Token(run.finish.choice, sequence.answer[sequence.generated - 1]))
        if sequence.is_complete:
            events.append(run.finish)
        return events

    def _report_load(self, step: Step | None = None) -> None:
        scheduler, before = self._scheduler, self._reported
        self._reported = scheduler.preemptions, scheduler.prefix_queries, scheduler.prefix_hits
        preemptions, queries, hits = (now - then for now, then in zip(self._reported, before, strict=True))
        self._lifecycle.stats(
            EngineLoad(
                running=len(scheduler.running),
                waiting=len(scheduler.waiting),
                kv_cache_utilization=scheduler.cache.used / max(1, scheduler.cache.capacity),
                batch_tokens=step.tokens if step is not None and step.work else None,
                preemptions=preemptions,
                prefix_cache_queries=queries,
                prefix_cache_hits=hits,
            )
        )

    def _work_ended(self, work: asyncio.Task[None]) -> None:
        """A fault of the simulator's own fails the open requests, so that no reader waits for ever."""
        if work.cancelled() or (error := work.exception()) is None:
            return
        for run in self._runs.values():
            run.request.failure = error
            run.request.changed.set()
