"""The simplest engine: it answers every request at once, and each at the same pace.

All choices of a request step together. Every step is due at a time fixed by the request's arrival, so that neither a
late wake-up nor a slow reader makes the steps after it drift.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from otel_genai.simulator.engine.inference import Event, Finish, Inference, Prefill, Token, answers
from otel_genai.simulator.engine.lifecycle import Lifecycle, Load, Output
from otel_genai.simulator.engine.text import tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from otel_genai.simulator.engine.inference import Reason


class FixedRateEngine:
    """`ttft` seconds to the first token, `itl` between tokens, however many ask and however long their prompts are."""

    longest = None

    def __init__(
        self,
        journal: Lifecycle,
        *,
        seed: int = 0,
        ttft: float = 0.0,
        itl: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._journal = journal
        self._seed = seed
        self._ttft = ttft
        self._itl = itl
        self._clock = clock
        self._sleep = sleep
        self._running = 0

    async def generate(self, inference: Inference) -> AsyncGenerator[Event, None]:
        """The events of one request, each at its time."""
        arrived = self._clock()
        read = [len(tokens(prompt)) for prompt in inference.prompts]
        said = answers(inference, seed=self._seed)
        lives = self._journal.taken(inference, arrived, read)
        for life in lives:
            life.scheduled = arrived
        self._runs(len(lives))
        try:
            for step in range(max(1, *(len(answer) for answer, _ in said))):
                # A step that is already due still lets the other requests take theirs.
                await self._sleep(max(0.0, arrived + self._ttft + step * self._itl - self._clock()))
                now = self._clock()
                outputs = [
                    Output(life, tuple(_events(choice, answer, reason, step)), now)
                    for choice, (life, (answer, reason)) in enumerate(zip(lives, said, strict=True))
                ]
                if step == 0:
                    opening = tuple(Prefill(count, prompt=prompt) for prompt, count in enumerate(read))
                    outputs[0] = outputs[0]._replace(events=opening + outputs[0].events)
                self._journal.told(outputs)
                for output in outputs:
                    for event in output.events:
                        yield event
        finally:
            left = [life for life in lives if not life.is_over]
            if left:
                self._journal.left(left, self._clock())
            self._runs(-len(lives))

    def _runs(self, more: int) -> None:
        self._running += more
        self._journal.loaded(Load(self._running, 0, None))


def _events(choice: int, answer: list[str], reason: Reason, step: int) -> Iterator[Event]:
    if step < len(answer):
        yield Token(choice, answer[step])
    if step == max(0, len(answer) - 1):
        yield Finish(choice, reason)
