"""What is generated, and when: a prompt and its sampling go in, timed tokens come out. Nothing here knows HTTP.

All choices of a request step together. Every step is due at a time fixed by the request's arrival, so that neither a
late wake-up nor a slow reader makes the steps after it drift.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from otel_genai.simulator.text import prose, tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to answer a prompt."""

    n: int = 1
    """Number of choices."""
    max_tokens: int | None = None
    """Upper bound for each choice; `None` lets the answer come to its natural end."""
    stop: tuple[str, ...] = ()
    """Sequences that end a choice before they are generated."""
    seed: int | None = None
    """Takes the place of the engine's own seed."""
    guided: str | None = None
    """Text that decoding is constrained to, as by a grammar; `None` lets the model choose its words."""


@dataclass(frozen=True, slots=True)
class Prefill:
    """The prompt has been read: what comes next is output."""

    prompt_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token of one choice."""

    choice: int
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """A choice has ended; nothing of it follows."""

    choice: int
    reason: Literal["stop", "length"]


Event = Prefill | Token | Finish
"""`Prefill` comes once and first; then for every choice its tokens and, right after the last of them, its `Finish`."""

Generate = Callable[[str, Sampling], AsyncGenerator[Event, None]]
"""The seam between engine and wire. Closing the generator, or cancelling whoever awaits it, stops the generation."""


class Engine:
    """Answers every request at once, each at the same pace: `ttft` seconds to the first token, `itl` between tokens."""

    def __init__(
        self,
        *,
        seed: int = 0,
        ttft: float = 0.0,
        itl: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._seed = seed
        self._ttft = ttft
        self._itl = itl
        self._clock = clock
        self._sleep = sleep

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Event, None]:
        """The events of one request, each at its time."""
        arrived = self._clock()
        answers = [self._answer(prompt, sampling, choice) for choice in range(sampling.n)]
        for step in range(max(1, *(len(answer) for answer, _ in answers))):
            await self._until(arrived + self._ttft + step * self._itl)
            if step == 0:
                yield Prefill(len(tokens(prompt)))
            for choice, (answer, reason) in enumerate(answers):
                if step < len(answer):
                    yield Token(choice, answer[step])
                if step == max(0, len(answer) - 1):
                    yield Finish(choice, reason)

    def _answer(self, prompt: str, sampling: Sampling, choice: int) -> tuple[list[str], Literal["stop", "length"]]:
        text = sampling.guided
        if text is None:
            seed = self._seed if sampling.seed is None else sampling.seed
            text = prose(seed=seed, prompt=prompt, choice=choice)
        cut = min((at for at in map(text.find, sampling.stop) if at >= 0), default=len(text))
        answer = tokens(text[:cut])
        if sampling.max_tokens is not None and len(answer) > sampling.max_tokens:
            return answer[: sampling.max_tokens], "length"
        return answer, "stop"

    async def _until(self, due: float) -> None:
        # A step that is already due still lets the other requests take theirs.
        await self._sleep(max(0.0, due - self._clock()))
