"""Which sequences are worked on in a step, and how many tokens of each: continuous batching. It knows no clock and does not wait.

Who runs goes on, a token each or the next chunk of a long prompt; what is left of the step's tokens goes to who waits longest. Where the
KV cache is full, the newest runner makes room: it loses what was computed and waits at the head of the queue to compute it anew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otel_genai.simulator.engine.kv_cache import KVCache

if TYPE_CHECKING:
    from collections.abc import Hashable

    from otel_genai.simulator.engine.profile import Profile


class Sequence:
    """A prompt and one answer to it, on their way through the engine."""

    __slots__ = ("_hashes", "answer", "blocks", "cached", "computed", "generated", "prompt", "was_scheduled")

    def __init__(self, prompt: list[str], answer: list[str]) -> None:
        self.prompt = prompt
        self.answer = answer
        self.generated = 0
        """Tokens of the answer that exist."""
        self.computed = 0
        """Tokens whose keys and values are in the cache."""
        self.cached = 0
        """Tokens of the prompt that were there already."""
        self.blocks: list[int] = []
        self.was_scheduled = False
        self._hashes: list[Hashable] = []

    @property
    def outstanding(self) -> int:
        """Tokens that exist and are still to be computed: one while it decodes."""
        return len(self.prompt) + self.generated - self.computed

    @property
    def is_complete(self) -> bool:
        """Whether all of its answer exists."""
        return self.generated == len(self.answer)

    def hashes(self, blocks: int, block_tokens: int) -> list[Hashable]:
        """The hashes of its first blocks, each of which is that of all tokens so far."""
        known = self._hashes
        for block in range(len(known), blocks):
            start, end = block * block_tokens, (block + 1) * block_tokens
            beyond = len(self.prompt)
            held = (*self.prompt[start:end], *self.answer[max(0, start - beyond) : max(0, end - beyond)])
            known.append(hash((known[-1] if known else None, held)))
        return known[:blocks]


@dataclass(slots=True)
class Step:
    """What is computed in one go."""

    work: list[tuple[Sequence, int]] = field(default_factory=list)
    """Sequences, and how many tokens of each."""
    prompt_tokens: int = 0
    """Those that are read, also for the second time."""
    decoding: int = 0
    """Sequences that decode."""
    admitted: list[Sequence] = field(default_factory=list)
    """Those that run for the first time."""
    crowded_out: list[Sequence] = field(default_factory=list)
    """Those that have ended, because not even the whole cache can hold them."""

    @property
    def tokens(self) -> int:
        """All that is computed."""
        return self.prompt_tokens + self.decoding


class Scheduler:
    """The queue, the runners and their cache. After `schedule` comes `complete` for the same step."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._block_tokens = profile.block_tokens
        self.cache = KVCache(profile.kv_cache_tokens // profile.block_tokens)
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.preemptions = 0
        self.prefix_queries = 0
        """Prompt tokens that were looked up in the cache."""
        self.prefix_hits = 0

    def add(self, sequence: Sequence) -> None:
        """Have a sequence wait for its turn."""
        self.waiting.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Let go of a sequence, wherever it is, and of what it holds."""
        if sequence in self.running:
            self.running.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)
        self._empty(sequence)

    def limit_cache(self, tokens: int | None) -> None:
        """Have the cache hold that many tokens only; `None`: as many as the profile says."""
        self.cache.resize((self._profile.kv_cache_tokens if tokens is None else tokens) // self._block_tokens)

    def schedule(self) -> Step:
        """What is to be computed next."""
        step = Step()
        while self.cache.used > self.cache.capacity and self.running:
            self._preempt(self.running[-1], step)
        budget = self._profile.step_tokens
        place = 0
        while place < len(self.running) and budget:
            sequence = self.running[place]
            count = min(sequence.outstanding, budget)
            while not self._grow(sequence, count):
                self._preempt(self.running[-1], step)
                if place == len(self.running):
                    break  # it was the newest itself
            else:
                self._take(step, sequence, count)
                budget -= count
                place += 1
        self._admit(step, budget)
        return step

    def complete(self, step: Step) -> list[Sequence]:
        """Take note that a step has been computed; returns the sequences that have got a token, or have none to get."""
        sampled = []
        for sequence, count in step.work:
            if not sequence.blocks:
                continue  # removed meanwhile
            before, sequence.computed = sequence.computed, sequence.computed + count
            self._fill(sequence, before)
            if not sequence.outstanding:
                sequence.generated += not sequence.is_complete
                sampled.append(sequence)
                if sequence.is_complete:
                    self.remove(sequence)
        return sampled

    def _admit(self, step: Step, budget: int) -> None:
        while self.waiting and budget and len(self.running) < self._profile.max_sequences:
            sequence = self.waiting[0]
            tokens = sequence.outstanding
            if self._blocks(tokens) > self.cache.capacity:
                self.waiting.popleft()
                step.crowded_out.append(sequence)
                continue
            # The last token is always computed: the next one is sampled from what comes of it.
            known = self.cache.cached(sequence.hashes((tokens - 1) // self._block_tokens, self._block_tokens))
            hits = len(known) * self._block_tokens
            self.cache.hold(known)
            sequence.blocks, sequence.computed = known, hits
            count = min(tokens - hits, budget)
            if not self._grow(sequence, count):
                self._empty(sequence)
                return
            self.waiting.popleft()
            self.running.append(sequence)
            if not sequence.was_scheduled:
                sequence.was_scheduled, sequence.cached = True, hits
                self.prefix_queries += tokens
                self.prefix_hits += hits
                step.admitted.append(sequence)
            self._take(step, sequence, count)
            budget -= count

    def _take(self, step: Step, sequence: Sequence, count: int) -> None:
        step.work.append((sequence, count))
        if sequence.generated and sequence.outstanding == 1:
            step.decoding += 1
        else:
            step.prompt_tokens += count

    def _grow(self, sequence: Sequence, count: int) -> bool:
        more = self._blocks(sequence.computed + count) - len(sequence.blocks)
        if more <= 0:
            return True
        blocks = self.cache.allocate(more)
        if blocks is None:
            return False
        sequence.blocks.extend(blocks)
        return True

    def _preempt(self, sequence: Sequence, step: Step) -> None:
        self.remove(sequence)
        if self._blocks(sequence.outstanding) > self.cache.capacity:
            step.crowded_out.append(sequence)
        else:
            self.preemptions += 1
            self.waiting.appendleft(sequence)

    def _fill(self, sequence: Sequence, before: int) -> None:
        full, size = sequence.computed // self._block_tokens, self._block_tokens
        if full > before // size:
            for block in range(before // size, full):
                self.cache.fill(sequence.blocks[block], sequence.hashes(full, size)[block])

    def _empty(self, sequence: Sequence) -> None:
        self.cache.release(sequence.blocks)
        sequence.blocks, sequence.computed = [], 0

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self._block_tokens)
