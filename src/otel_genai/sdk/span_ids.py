"""Span ids that do not depend on the program's random numbers.

The SDK draws ids from `random` (opentelemetry-sdk 1.45 trace/id_generator.py). A program that seeds `random` would give several spans
the same id: vLLM does so in each of its processes.
"""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING, cast

from opentelemetry import trace
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


def use_unseeded_ids() -> None:
    """Have the global provider draw ids from the operating system. An id generator that the program has chosen stays."""
    provider = trace.get_tracer_provider()
    if type(getattr(provider, "id_generator", None)) is RandomIdGenerator:
        cast("TracerProvider", provider).id_generator = _UnseededIds()


class _UnseededIds(RandomIdGenerator):
    """Ids that neither depend on the program's random numbers nor change them."""

    _random = SystemRandom()

    def generate_span_id(self) -> int:
        return self._random.getrandbits(64) or self.generate_span_id()

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(128) or self.generate_trace_id()
