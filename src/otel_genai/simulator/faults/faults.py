"""What can be made to go wrong, at run time: names and values as people and HTTP write them, and what is on now."""

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
"""Fault → what its value is."""
OF_ENGINES: Final = ("slow_decode", "kv_tokens", "stall")
"""Those that need an engine with a profile."""
OFF: Final = "off"

State = dict[str, float | None]


class FaultError(ValueError):
    """A fault that does not exist, or a value that it cannot have."""


def duration(text: str) -> float:
    """Seconds; `80ms`, `1.5s` and `0` are durations. Raises `ValueError` for others."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 80ms, 1.5s or 0")
    return float(match["number"] or 0) / (1000 if match["unit"] == "ms" else 1)


def written(words: list[str]) -> State:
    """What `kv-tokens=2000`, `stall=2s`, `stall=off` or `off` say; raises `FaultError`."""
    changes: State = {}
    for word in words:
        if word == OFF:
            changes |= dict.fromkeys(NAMES)
            continue
        name, _, value = word.partition("=")
        name = name.replace("-", "_")
        changes |= checked({name: None if value == OFF else _number(name, value)})
    return changes


def checked(changes: Mapping[str, Any]) -> State:
    """Changes that can be made; raises `FaultError`."""
    for name, value in changes.items():
        if name not in NAMES:
            raise FaultError(f"no such fault: {name!r} (there are: {', '.join(NAMES)})")
        if value is not None and not _fits(name, value):
            raise FaultError(f"{name!r} cannot be {value!r}: it is {NAMES[name]}")
    return dict(changes)


def _number(name: str, text: str) -> float | str:
    try:
        if name == "stall":
            return duration(text)
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text


def _fits(name: str, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if name == "kv_tokens" else (int, float)):
        return False
    lowest, highest = {"error_rate": (0, 1), "stall": (0, 3600)}.get(name, (1, 1e9))
    return lowest <= value <= highest


class Faults:
    """What is on. Which requests fail is drawn by a generator of its own: the same seed, the same choice."""

    def __init__(self, on: Mapping[str, float | None] | None = None, *, seed: int = 0) -> None:
        self._draw = random.Random(seed)  # noqa: S311 - no secret here
        self._on: State = dict.fromkeys(NAMES)
        self.switch(on or {})

    def state(self) -> State:
        """Every fault with its value; `None` is off."""
        return dict(self._on)

    def switch(self, changes: Mapping[str, Any]) -> None:
        """Switch faults on and, with `None`, off; the others stay. Raises `FaultError`, and then changes nothing."""
        self._on |= {name: value or None for name, value in checked(changes).items()}

    @property
    def slow_decode(self) -> float:
        """How many times as long decoding takes."""
        return self._on["slow_decode"] or 1.0

    @property
    def kv_tokens(self) -> int | None:
        """What the KV cache holds; `None`: all that it should."""
        tokens = self._on["kv_tokens"]
        return None if tokens is None else int(tokens)

    @property
    def stall(self) -> float:
        """Seconds that are lost at every hundredth step."""
        return self._on["stall"] or 0.0

    def next(self) -> ApiError | None:
        """The error that meets the next request, if any."""
        # Two draws whatever happens: a request's luck then depends on its number alone, not on the rate.
        fails, limited = self._draw.random() < (self._on["error_rate"] or 0.0), self._draw.random() < 0.5
        if not fails:
            return None
        if limited:
            return ApiError("Rate limit reached.", status=429, type="requests", code="rate_limit_exceeded")
        message = "The server had an error while processing your request. Sorry about that!"
        return ApiError(message, status=500, type="server_error")
