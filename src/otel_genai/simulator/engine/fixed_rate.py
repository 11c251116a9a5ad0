"""The simplest engine: it starts every request at once and generates at a fixed rate.

All choices of a request step together. The time of a step depends on the request's start alone: neither a late wake-up nor a slow
reader delays the steps after it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from otel_genai.simulator.engine.inference import Event, Finish, Inference, Prefill, Token, answers
from otel_genai.simulator.engine.lifecycle import EngineLoad, Lifecycle, StepOutput
from otel_genai.simulator.engine.text import tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from otel_genai.simulator.engine.inference import Reason


class FixedRateEngine:
    """`ttft` seconds to the first token, `itl` between tokens, for any number of requests and any length of prompt."""

    context_length = None

    def __init__(
        self,
        lifecycle: Lifecycle,
        *,
        seed: int = 0,
        ttft: float = 0.0,
        itl: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._lifecycle = lifecycle
        self._seed = seed
        self._ttft = ttft
        self._itl = itl
        self._clock = clock
        self._sleep = sleep
        self._running = 0

    async def generate(self, inference: Inference) -> AsyncGenerator[Event, None]:
        """The events of one request, each at its time."""
        submitted = self._clock()
        prompt_tokens = [len(tokens(prompt)) for prompt in inference.prompts]
        planned = answers(inference, seed=self._seed)
        sequences = self._lifecycle.submitted(inference, submitted, prompt_tokens)
        for sequence in sequences:
            sequence.scheduled = submitted
        self._add_running(len(sequences))
        try:
            for step in range(max(1, *(len(answer) for answer, _ in planned))):
                # A sleep of no time still lets the other requests take their steps.
                await self._sleep(max(0.0, submitted + self._ttft + step * self._itl - self._clock()))
                now = self._clock()
                outputs = [
                    StepOutput(sequence, tuple(_events(choice, answer, reason, step)), now)
                    for choice, (sequence, (answer, reason)) in enumerate(zip(sequences, planned, strict=True))
                ]
                if step == 0:
                    prefills = tuple(Prefill(count, prompt=prompt) for prompt, count in enumerate(prompt_tokens))
                    outputs[0] = outputs[0]._replace(events=prefills + outputs[0].events)
                self._lifecycle.step(outputs)
                for output in outputs:
                    for event in output.events:
                        yield event
        finally:
            unfinished = [sequence for sequence in sequences if not sequence.is_finished]
            if unfinished:
                self._lifecycle.cancelled(unfinished, self._clock())
            self._add_running(-len(sequences))

    def _add_running(self, count: int) -> None:
        self._running += count
        self._lifecycle.stats(EngineLoad(self._running, 0, None))


def _events(choice: int, answer: list[str], reason: Reason, step: int) -> Iterator[Event]:
    if step < len(answer):
        yield Token(choice, answer[step])
    if step == max(0, len(answer) - 1):
        yield Finish(choice, reason)
