"""The speed and memory of a model on an accelerator, read from a file."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class ProfileError(ValueError):
    """A profile that cannot be used; its message names the file and the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A model on an accelerator."""

    name: str
    prefill_tokens_per_second: float
    decode_step_ms: tuple[tuple[float, float], ...]
    """(sequences that decode together, milliseconds), ascending. Linear between two points, and beyond them on the nearest line."""
    step_overhead_ms: float = 0.0
    kv_cache_tokens: int
    """Tokens of all sequences together that the cache holds."""
    block_tokens: int = 16
    max_sequences: int = 256
    """Sequences that run at once; the others wait."""
    step_tokens: int = 2048
    """Most tokens that a step computes; longer prompts are read in chunks."""
    context_tokens: int | None = None
    """Longest sequence, prompt and answer; `None`: as long as the cache allows."""
    startup_seconds: float = 0.0
    """Time to load the model."""

    def step_seconds(self, prompt_tokens: int, decoding: int, *, slow_decode: float = 1.0) -> float:
        """Duration of a step that reads `prompt_tokens` and decodes one token for each of `decoding` sequences.

        The weights are read once a step, and prompt tokens are computed meanwhile: the longer of the two counts. The time that
        the batch takes beyond a batch of one is added.
        """
        weights, batch = self._decode_ms(1), self._decode_ms(max(1, decoding))
        slow = slow_decode if decoding else 1.0
        reading = prompt_tokens / self.prefill_tokens_per_second * 1000
        return (self.step_overhead_ms + max(weights * slow, reading) + (batch - weights) * slow) / 1000

    def _decode_ms(self, sequences: int) -> float:
        points = self.decode_step_ms
        if len(points) == 1:
            return points[0][1]
        right = min(max(bisect_left(points, (sequences,)), 1), len(points) - 1)
        (low, at_low), (high, at_high) = points[right - 1 : right + 1]
        return max(0.0, at_low + (sequences - low) * (at_high - at_low) / (high - low))

    def context_length(self) -> int:
        """The longest sequence in tokens, prompt and answer."""
        return self.kv_cache_tokens if self.context_tokens is None else min(self.context_tokens, self.kv_cache_tokens)

    @classmethod
    def read(cls, path: Path | str) -> Profile:
        """The profile in a TOML or JSON file; raises `OSError`, or `ProfileError` if the content is no profile."""
        path = Path(path)
        try:
            fields = json.loads(path.read_text()) if path.suffix == ".json" else tomllib.loads(path.read_text())
        except ValueError as error:
            raise ProfileError(f"{path}: {error}") from error
        try:
            return cls._of(fields)
        except ProfileError as error:
            raise ProfileError(f"{path}: {error}") from error

    @classmethod
    def _of(cls, fields: Any) -> Profile:
        if not isinstance(fields, dict):
            raise ProfileError("not an object")
        known = {field.name: field for field in dataclasses.fields(cls)}
        for name in fields:
            if name not in known:
                raise ProfileError(f"unknown field {name!r} (there are: {', '.join(known)})")
        for name, field in known.items():
            if name not in fields and field.default is dataclasses.MISSING:
                raise ProfileError(f"field {name!r} is missing")
        if not isinstance(fields["name"], str):
            raise ProfileError("'name' is not a text")
        numbers = {name: value for name, value in fields.items() if name not in ("name", "decode_step_ms")}
        for name, value in numbers.items():
            _check(name, value, whole=known[name].type in ("int", "int | None"))
        return cls(**numbers, name=fields["name"], decode_step_ms=_points(fields))


_MAY_BE_ZERO = ("step_overhead_ms", "startup_seconds")


def _check(name: str, value: object, *, whole: bool) -> None:
    # bool is a subclass of int in Python. NaN compares false with everything, and is refused, too.
    is_number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not is_number or not (value > 0 or (name in _MAY_BE_ZERO and value == 0)):  # type: ignore[operator]
        raise ProfileError(f"{name!r} is not a {'whole ' if whole else ''}number above zero: {value!r}")


def _points(fields: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    points = fields["decode_step_ms"]
    if not isinstance(points, list) or not points or not all(isinstance(p, list) and len(p) == 2 for p in points):
        raise ProfileError("'decode_step_ms' is not a list of pairs [sequences, milliseconds]")
    for batch, milliseconds in points:
        _check("decode_step_ms", batch, whole=True)
        _check("decode_step_ms", milliseconds, whole=False)
    batches = [batch for batch, _ in points]
    if batches != sorted(set(batches)):
        raise ProfileError("'decode_step_ms' does not ascend by sequences")
    return tuple((batch, milliseconds) for batch, milliseconds in points)
