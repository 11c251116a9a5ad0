"""A clock that moves when somebody sleeps, and the simulator's engine on it: what happens when is then a literal."""

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
    from collections.abc import Awaitable, Callable, Mapping

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
    """Seconds that pass only by sleeping. What is due meanwhile is done on the way."""

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
        # Whoever has something to do does it before time moves on.
        for _ in range(8):
            await asyncio.sleep(0)


class Bench:
    """An engine on virtual time, whose requests say as many tokens as they are told to."""

    def __init__(self, profile: Profile = PROFILE, faults: Mapping[str, float | None] | None = None) -> None:
        self.time = VirtualTime()
        self.faults = Faults(faults)
        self.statistics = Statistics()
        lifecycle = Lifecycle(self.statistics, model="sim-8b")
        self.engine = Engine(lifecycle, profile, self.faults, clock=self.time.clock, sleep=self.time.sleep)
        self.loads: list[tuple[int, int, float | None]] = []
        stats = lifecycle.stats

        def noting(load: object) -> None:
            stats(load)  # type: ignore[arg-type]
            self.loads.append((load.running, load.waiting, load.kv_cache_utilization))  # type: ignore[attr-defined]

        lifecycle.stats = noting  # type: ignore[method-assign]

    async def run(self, *requests: Awaitable[list[str]]) -> list[list[str]]:
        return await asyncio.wait_for(asyncio.gather(*requests), 10)

    async def ask(self, prompt: int, answer: int, *, name: str = "p", n: int = 1) -> list[str]:
        """What comes of a prompt and an answer of so many tokens: "at: event", in order.

        Prompts begin alike only if they have the same name.
        """
        inference = Inference(
            prompts=(" ".join([name] * prompt),),
            sampling=Sampling(n=n, guided=" ".join(["a"] * answer)),
        )
        return [f"{self.time.now:g}: {_told(event)}" async for event in self.engine.generate(inference)]

    def later(self, moment: float, prompt: int, answer: int, *, name: str = "p") -> asyncio.Future[list[str]]:
        """The same, asked at a moment."""
        came: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

        async def ask() -> None:
            came.set_result(await self.ask(prompt, answer, name=name))

        self.time.at(moment, lambda: self._tasks.append(asyncio.ensure_future(ask())))
        return came

    @property
    def _tasks(self) -> list[asyncio.Future[None]]:
        # Held, since the event loop holds tasks weakly.
        return self.__dict__.setdefault("tasks", [])  # type: ignore[no-any-return]


def _told(event: Event) -> str:
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
