"""The text of the simulated model, and its tokens. Pure functions: the same seed gives the same text.

A token is a word or one punctuation mark, together with the white space before it; white space at the very end is a
token of its own. The tokens joined are the text, so counting, cutting and streaming cannot disagree.
"""

from __future__ import annotations

import hashlib
import random
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")

_SUBJECTS = (
    "The scheduler",
    "A warm cache",
    "Every request",
    "The decoder",
    "One long prompt",
    "The first token",
    "A full batch",
    "Each answer",
    "The queue",
    "A patient client",
)
_VERBS = (
    "waits for",
    "follows",
    "shares",
    "remembers",
    "overtakes",
    "needs",
    "fills",
    "makes room for",
    "never outlives",
    "keeps up with",
)
_OBJECTS = (
    "the next step",
    "its own context",
    "a free block",
    "the slowest reader",
    "what the prompt began",
    "the same few pages",
    "a shorter sequence",
    "one more token",
    "a steady pace",
    "the end of the line",
)
_ENDINGS = ("", "", " in good time", " under load", ", step by step", " when memory allows", ", and then rests")

_FEWEST_SENTENCES = 2
_MOST_SENTENCES = 8


def tokens(text: str) -> list[str]:
    """The tokens of a text; `"".join` of them is the text again."""
    return _TOKEN.findall(text)


def prose(*, seed: int, prompt: str, choice: int) -> str:
    """A few sentences that depend on the arguments alone."""
    # JSON can contain lone surrogates, which plain UTF-8 refuses.
    key = f"{seed}\0{choice}\0{prompt}".encode("utf-8", "surrogatepass")
    draw = random.Random(int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()))  # noqa: S311 - no secret here
    count = _FEWEST_SENTENCES + int(draw.random() * (_MOST_SENTENCES - _FEWEST_SENTENCES + 1))
    return " ".join(_sentence(draw) for _ in range(count))


def _sentence(draw: random.Random) -> str:
    return f"{_pick(draw, _SUBJECTS)} {_pick(draw, _VERBS)} {_pick(draw, _OBJECTS)}{_pick(draw, _ENDINGS)}."


def _pick(draw: random.Random, options: Sequence[str]) -> str:
    # Of all methods, Python promises for `random()` alone the same numbers in every version.
    return options[int(draw.random() * len(options))]
