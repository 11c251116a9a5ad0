"""A clock that advances only by sleeping, and the simulator's engine on it: tests assert times as literals."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import TYPE_CHECKING

from otel_genai.simulator.engine.engine import Engine
from otel_genai.simulator.engine.inference import Event, Finish, Inference, Prefill, Sampling, Token
from otel_genai.simulator.engine.lifecycle import Lifecycle
from otel_genai.simulator.engine.profile import Profile
from otel_genai.simulator.engine.statistics import Statistics
from otel_genai.simulator.faults.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from otel_genai.simulator.engine.lifecycle import EngineLoad, SequenceTimes, StepOutput, SubmittedRequest

PROFILE = Profile(
    name="one second a step",
    # A step takes a second, and another for every ten sequences; a thousand prompt tokens take one.
    prefill_tokens_per_second=1000,
    decode_step_ms=((1, 1000), (11, 2000)),
    kv_cache_tokens=160,
    block_tokens=4,
    max_sequences=8,
    step_tokens=32,
)


class VirtualTime:
    """Seconds that pass only by sleeping. Actions that are due during a sleep run at their time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    def clock(self) -> float:
        return self.now

    def at(self, moment: float, act: Callable[[], object]) -> None:
        heapq.heappush(self._due, (moment, next(self._numbers), act))

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await self._turns()
        while self._due and self._due[0][0] <= until:
            self.now, _, act = heapq.heappop(self._due)
            act()
            await self._turns()
        self.now = until

    async def _turns(self) -> None:
        # Tasks that can go on do so before time advances.
        for _ in range(8):
            await asyncio.sleep(0)


class Bench:
    """An engine on virtual time, and its observer. Requests prescribe the number of tokens."""

    def __init__(self, profile: Profile = PROFILE, faults: Mapping[str, float | None] | None = None) -> None:
        self.time = VirtualTime()
        self.faults = Faults(faults)
        self.statistics = Statistics()
        self.loads: list[tuple[int, int, float | None]] = []
        lifecycle = Lifecycle(self.statistics, self)
        self.engine = Engine(lifecycle, profile, self.faults, clock=self.time.clock, sleep=self.time.sleep)

    def submitted(self, request: SubmittedRequest, sequences: Sequence[SequenceTimes]) -> None:
        pass

    def step(self, outputs: Sequence[StepOutput]) -> None:
        pass

    def cancelled(self, sequences: Sequence[SequenceTimes]) -> None:
        pass

    def stats(self, load: EngineLoad) -> None:
        self.loads.append((load.running, load.waiting, load.kv_cache_utilization))

    async def run(self, *requests: Awaitable[list[str]]) -> list[list[str]]:
        return await asyncio.wait_for(asyncio.gather(*requests), 10)

    async def ask(self, prompt: int, answer: int, *, name: str = "p", n: int = 1) -> list[str]:
        """The events of a request with so many tokens in prompt and answer, in order: "time: event".

        Only prompts of the same name have a common prefix.
        """
        inference = Inference(
            prompts=(" ".join([name] * prompt),),
            sampling=Sampling(n=n, guided=" ".join(["a"] * answer)),
        )
        return [f"{self.time.now:g}: {_text(event)}" async for event in self.engine.generate(inference)]

    def later(self, moment: float, prompt: int, answer: int, *, name: str = "p") -> asyncio.Future[list[str]]:
        """The same, submitted at `moment`."""
        events: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

        async def ask() -> None:
            events.set_result(await self.ask(prompt, answer, name=name))

        self.time.at(moment, lambda: self._tasks.append(asyncio.ensure_future(ask())))
        return events

    @property
    def _tasks(self) -> list[asyncio.Future[None]]:
        # The event loop holds tasks weakly.
        return self.__dict__.setdefault("tasks", [])  # type: ignore[no-any-return]


def _text(event: Event) -> str:
    match event:
        case Prefill(count, 0):
            return f"read {count}"
        case Prefill(count, cached):
            return f"read {count}, {cached} cached"
        case Token(0):
            return "token"
        case Token(choice):
            return f"token of {choice}"
        case Finish(0, reason):
            return reason
        case Finish(choice, reason):
            return f"{reason} of {choice}"
