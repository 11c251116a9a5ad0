"""The simulator's faults: their names, values and notation, and which are on."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any, Final

from otel_genai.simulator.api.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DURATION: Final = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>ms|s)|0")

NAMES: Final = {
    "slow_decode": "a number from 1 on: how many times as long decoding takes",
    "kv_tokens": "a whole number from 1 on: the tokens that the KV cache holds",
    "error_rate": "a number from 0 to 1: the share of the requests that fail with 500 or 429",
    "stall": "a duration such as 2s: how much longer every hundredth step takes",
}
"""Fault → a description of its values."""
ENGINE_FAULTS: Final = ("slow_decode", "kv_tokens", "stall")
"""Faults that need an engine with a profile."""
OFF: Final = "off"

State = dict[str, float | None]
"""Fault → value; `None` is off."""


class FaultError(ValueError):
    """An unknown fault, or an invalid value of one."""


def duration(text: str) -> float:
    """The seconds of `80ms`, `1.5s` or `0`. Raises `ValueError` for any other text."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 80ms, 1.5s or 0")
    return float(match["number"] or 0) / (1000 if match["unit"] == "ms" else 1)


def parse(words: list[str]) -> State:
    """The changes in `kv-tokens=2000`, `stall=2s`, `stall=off` or `off`; raises `FaultError`."""
    changes: State = {}
    for word in words:
        if word == OFF:
            changes |= dict.fromkeys(NAMES)
            continue
        name, _, value = word.partition("=")
        name = name.replace("-", "_")
        changes |= validated({name: None if value == OFF else _number(name, value)})
    return changes


def validated(changes: Mapping[str, Any]) -> State:
    """The changes, if all of them are valid; raises `FaultError`."""
    for name, value in changes.items():
        if name not in NAMES:
            raise FaultError(f"no such fault: {name!r} (there are: {', '.join(NAMES)})")
        if value is not None and not _is_valid(name, value):
            raise FaultError(f"{name!r} cannot be {value!r}: it is {NAMES[name]}")
    return dict(changes)


def _number(name: str, text: str) -> float | str:
    try:
        if name == "stall":
            return duration(text)
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text


def _is_valid(name: str, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if name == "kv_tokens" else (int, float)):
        return False
    lowest, highest = {"error_rate": (0, 1), "stall": (0, 3600)}.get(name, (1, 1e9))
    return lowest <= value <= highest


class Faults:
    """The faults that are on. The requests that fail are drawn from the seed: the same seed gives the same requests."""

    def __init__(self, initial: Mapping[str, float | None] | None = None, *, seed: int = 0) -> None:
        self._draw = random.Random(seed)  # noqa: S311 - no secret here
        self._on: State = dict.fromkeys(NAMES)
        self.update(initial or {})

    def state(self) -> State:
        """All faults."""
        return dict(self._on)

    def update(self, changes: Mapping[str, Any]) -> None:
        """Switch faults on, or off with `None`; the others stay. Raises `FaultError`, and then changes nothing."""
        self._on |= {name: value or None for name, value in validated(changes).items()}

    @property
    def slow_decode(self) -> float:
        """How many times as long decoding takes."""
        return self._on["slow_decode"] or 1.0

    @property
    def kv_tokens(self) -> int | None:
        """Tokens that the KV cache holds; `None`: as many as in the profile."""
        tokens = self._on["kv_tokens"]
        return None if tokens is None else int(tokens)

    @property
    def stall(self) -> float:
        """Seconds added to every hundredth step."""
        return self._on["stall"] or 0.0

    def next_error(self) -> ApiError | None:
        """The error for the next request; `None` if it succeeds."""
        # Always two draws, so that the draws of later requests do not depend on the rate.
        fails, is_rate_limited = self._draw.random() < (self._on["error_rate"] or 0.0), self._draw.random() < 0.5
        if not fails:
            return None
        if is_rate_limited:
            return ApiError("Rate limit reached.", status=429, type="requests", code="rate_limit_exceeded")
        message = "The server had an error while processing your request. Sorry about that!"
        return ApiError(message, status=500, type="server_error")
