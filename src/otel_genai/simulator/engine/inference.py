"""Requests to an engine, the events of its answers, and the text of the answers. No HTTP, no clock."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Literal

from otel_genai.simulator.engine.text import prose, tokens

Reason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The sampling parameters of a request."""

    n: int = 1
    """Number of choices for each prompt."""
    max_tokens: int | None = None
    """Upper bound for each choice; `None`: none."""
    stop: tuple[str, ...] = ()
    """Texts that end a choice; they are not part of it."""
    seed: int | None = None
    """Replaces the engine's own seed."""
    temperature: float | None = None
    top_p: float | None = None
    guided: str | None = None
    """The text of every choice, as if a grammar prescribed it; `None`: text drawn from the seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """A request to the model, from any endpoint. Choices are numbered across all prompts: prompt 1 of `n=2` has choices 2 and 3."""

    prompts: tuple[str, ...]
    sampling: Sampling = field(default_factory=Sampling)
    model: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """The id of the response."""
    stream: bool = False
    pooled: bool = False
    """Whether the request is for embeddings: the prompt is read, and nothing is generated."""


@dataclass(frozen=True, slots=True)
class Prefill:
    """A prompt has been read; output follows."""

    prompt_tokens: int
    cached_tokens: int = 0
    """Those of them that the prefix cache holds."""
    prompt: int = 0
    """The index of the prompt."""


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
"""One `Prefill` a prompt, before the tokens of its choices. A choice's `Finish` follows its last token at once."""

Generate = Callable[[Inference], AsyncGenerator[Event, None]]
"""An engine, as the HTTP side calls it. Closing the generator, or cancelling the task that reads it, stops the generation."""


def answers(inference: Inference, *, seed: int) -> list[tuple[list[str], Reason]]:
    """Every choice's tokens, and why it ends. The same seed gives the same text."""
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
