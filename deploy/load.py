"""People who chat, many at once: load for the demo. Every turn carries the conversation so far, as chat does.

Ends after `--seconds`, or never. What fails is counted, and the person tries again with the next turn.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
from collections import Counter
from typing import TYPE_CHECKING

from openai import APIError, AsyncOpenAI

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

WORDS = ("the", "queue", "of", "requests", "grows", "when", "prompts", "are", "long", "and", "a", "cache", "fills")
RULES = "You answer questions about model servers. " * 20
TURNS = 4
"""After so many, a person begins a new conversation."""


def question(tokens: int, chance: random.Random) -> str:
    """About so many tokens that nobody has asked before."""
    return " ".join(chance.choices(WORDS, k=tokens))


async def person(client: AsyncOpenAI, wishes: argparse.Namespace, chance: random.Random, seen: Counter[str]) -> None:
    """One conversation after the other, with pauses to read and to think."""
    while True:
        messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": RULES}]
        for _ in range(TURNS):
            messages.append({"role": "user", "content": question(wishes.prompt_tokens, chance)})
            try:
                answer = await answered(client, wishes, messages)
            except APIError as error:
                seen[type(error).__name__] += 1
                messages.pop()
            else:
                seen["answers"] += 1
                messages.append({"role": "assistant", "content": answer})
            await asyncio.sleep(chance.expovariate(1 / wishes.pause) if wishes.pause else 0)


async def answered(client: AsyncOpenAI, wishes: argparse.Namespace, messages: list[ChatCompletionMessageParam]) -> str:
    """The whole answer, streamed."""
    stream = await client.chat.completions.create(
        model=wishes.model,
        messages=messages,
        max_tokens=wishes.answer_tokens,
        stream=True,
        stream_options={"include_usage": True},
    )
    async with stream:
        return "".join([choice.delta.content or "" async for chunk in stream for choice in chunk.choices])


async def everybody(wishes: argparse.Namespace) -> Counter[str]:
    """All of them at once; how many answers there were, and how many failures of each kind."""
    seen: Counter[str] = Counter()
    async with AsyncOpenAI(max_retries=0, timeout=120) as client:
        # Numbered people ask the same questions in every run.
        people = [person(client, wishes, random.Random(number), seen) for number in range(wishes.people)]  # noqa: S311
        try:
            async with asyncio.timeout(wishes.seconds):
                await asyncio.gather(*people)
        except TimeoutError:
            pass
    return seen


def main() -> None:
    """Read the wishes from the command line; the server's address is OPENAI_BASE_URL."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--prompt-tokens", type=int, default=150, help="of one question")
    parser.add_argument("--answer-tokens", type=int, default=120, help="at most")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between turns, on average")
    parser.add_argument("--seconds", type=float, help="how long")
    parser.add_argument("--model", default=os.environ.get("OPENAI_MODEL", "sim-8b"))
    wishes = parser.parse_args()
    print(*(f"{count} {what}" for what, count in asyncio.run(everybody(wishes)).items()), sep=", ")


if __name__ == "__main__":
    main()
