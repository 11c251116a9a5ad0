"""Load for the demo: concurrent people who chat. Every turn carries the conversation so far.

Ends after `--seconds`, or never. A failed call is counted, and its person goes on with the next turn.
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
"""The length of a conversation."""


def question(tokens: int, chance: random.Random) -> str:
    """A random question of about `tokens` tokens."""
    return " ".join(chance.choices(WORDS, k=tokens))


async def person(
    client: AsyncOpenAI, options: argparse.Namespace, chance: random.Random, outcomes: Counter[str]
) -> None:
    """One conversation after the other, with pauses between turns."""
    while True:
        messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": RULES}]
        for _ in range(TURNS):
            messages.append({"role": "user", "content": question(options.prompt_tokens, chance)})
            try:
                answer = await ask(client, options, messages)
            except APIError as error:
                outcomes[type(error).__name__] += 1
                messages.pop()
            else:
                outcomes["answers"] += 1
                messages.append({"role": "assistant", "content": answer})
            await asyncio.sleep(chance.expovariate(1 / options.pause) if options.pause else 0)


async def ask(client: AsyncOpenAI, options: argparse.Namespace, messages: list[ChatCompletionMessageParam]) -> str:
    """The text of one streamed answer."""
    stream = await client.chat.completions.create(
        model=options.model,
        messages=messages,
        max_tokens=options.answer_tokens,
        stream=True,
        stream_options={"include_usage": True},
    )
    async with stream:
        return "".join([choice.delta.content or "" async for chunk in stream for choice in chunk.choices])


async def run(options: argparse.Namespace) -> Counter[str]:
    """Run all people concurrently. Returns the number of answers and of failures by kind."""
    outcomes: Counter[str] = Counter()
    async with AsyncOpenAI(max_retries=0, timeout=120) as client:
        # Seeded by their number, people ask the same questions in every run.
        people = [person(client, options, random.Random(number), outcomes) for number in range(options.people)]  # noqa: S311
        try:
            async with asyncio.timeout(options.seconds):
                await asyncio.gather(*people)
        except TimeoutError:
            pass
    return outcomes


def main() -> None:
    """Run the load that the command line describes; OPENAI_BASE_URL is the server's address."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--people", type=int, default=40, help="concurrent conversations")
    parser.add_argument("--prompt-tokens", type=int, default=150, help="tokens of one question")
    parser.add_argument("--answer-tokens", type=int, default=120, help="maximum tokens of one answer")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between turns, on average")
    parser.add_argument("--seconds", type=float, help="duration; without it the load runs until it is stopped")
    parser.add_argument("--model", default=os.environ.get("OPENAI_MODEL", "sim-8b"))
    options = parser.parse_args()
    print(*(f"{count} {outcome}" for outcome, count in asyncio.run(run(options)).items()), sep=", ")


if __name__ == "__main__":
    main()
