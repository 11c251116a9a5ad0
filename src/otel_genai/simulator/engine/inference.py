"""What an engine is asked for and what it answers with: records, and the words of the answer. Nothing here knows HTTP or time."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Literal

from otel_genai.simulator.engine.text import prose, tokens

Reason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to answer a prompt."""

    n: int = 1
    """Number of choices for each prompt."""
    max_tokens: int | None = None
    """Upper bound for each choice; `None` lets the answer come to its natural end."""
    stop: tuple[str, ...] = ()
    """Sequences that end a choice before they are generated."""
    seed: int | None = None
    """Takes the place of the engine's own seed."""
    temperature: float | None = None
    top_p: float | None = None
    guided: str | None = None
    """Text that decoding is constrained to, as by a grammar; `None` lets the model choose its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """A request to the model, of whichever endpoint. The choices of its prompts are counted through."""

    prompts: tuple[str, ...]
    sampling: Sampling = field(default_factory=Sampling)
    model: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """What the response is called."""
    stream: bool = False
    pooled: bool = False
    """Whether an embedding is wanted: the prompt is read, and nothing generated."""


@dataclass(frozen=True, slots=True)
class Prefill:
    """A prompt has been read: what comes next is output."""

    prompt_tokens: int
    cached_tokens: int = 0
    """Those of them that did not have to be computed."""
    prompt: int = 0
    """Which of the prompts."""


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token of one choice."""

    choice: int
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """A choice has ended; nothing of it follows."""

    choice: int
    reason: Reason


Event = Prefill | Token | Finish
"""`Prefill` comes once for every prompt, before its choices; then for every choice its tokens and, right after the last, its `Finish`."""

Generate = Callable[[Inference], AsyncGenerator[Event, None]]
"""The seam between engine and wire. Closing the generator, or cancelling whoever awaits it, stops the generation."""


def answers(inference: Inference, *, seed: int) -> list[tuple[list[str], Reason]]:
    """What every choice says, in tokens, and why it ends there. The same seed, the same words."""
    return [
        _answer(prompt, inference, seed, choice)
        for prompt in inference.prompts
        for choice in range(inference.sampling.n)
    ]


def _answer(prompt: str, inference: Inference, seed: int, choice: int) -> tuple[list[str], Reason]:
    sampling = inference.sampling
    if inference.pooled:
        return [], "stop"
    text = sampling.guided
    if text is None:
        text = prose(seed=seed if sampling.seed is None else sampling.seed, prompt=prompt, choice=choice)
    cut = min((at for at in map(text.find, sampling.stop) if at >= 0), default=len(text))
    answer = tokens(text[:cut])
    if sampling.max_tokens is not None and len(answer) > sampling.max_tokens:
        return answer[: sampling.max_tokens], "length"
    return answer, "stop"
