"""Continuous batching: the sequences of each step, and how many tokens of each are computed. No clock, no waiting.

Running sequences come first, with one token each or the next chunk of a long prompt. The rest of the step's tokens goes to the queue,
in order. If the KV cache is full, the newest running sequence is preempted: its blocks are freed, and it waits at the head of the queue
to be computed again.
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
    """A prompt and one answer to it, with their progress."""

    __slots__ = ("_hashes", "answer", "blocks", "cached", "computed", "generated", "prompt", "was_scheduled")

    def __init__(self, prompt: list[str], answer: list[str]) -> None:
        self.prompt = prompt
        self.answer = answer
        self.generated = 0
        """Tokens of the answer that exist."""
        self.computed = 0
        """Tokens whose keys and values are in the cache."""
        self.cached = 0
        """Tokens of the prompt that the cache held already."""
        self.blocks: list[int] = []
        self.was_scheduled = False
        self._hashes: list[Hashable] = []

    @property
    def outstanding(self) -> int:
        """Tokens that exist and are not computed yet: one while the sequence decodes."""
        return len(self.prompt) + self.generated - self.computed

    @property
    def is_complete(self) -> bool:
        """Whether the whole answer exists."""
        return self.generated == len(self.answer)

    def hashes(self, blocks: int, block_tokens: int) -> list[Hashable]:
        """The hashes of its first blocks. Each covers all tokens up to the end of its block."""
        known = self._hashes
        for block in range(len(known), blocks):
            start, end = block * block_tokens, (block + 1) * block_tokens
            answer_start = len(self.prompt)
            block_content = (
                *self.prompt[start:end],
                *self.answer[max(0, start - answer_start) : max(0, end - answer_start)],
            )
            known.append(hash((known[-1] if known else None, block_content)))
        return known[:blocks]


@dataclass(slots=True)
class Step:
    """The work of one forward pass."""

    work: list[tuple[Sequence, int]] = field(default_factory=list)
    """Sequences, and the number of tokens to compute of each."""
    prompt_tokens: int = 0
    """Prompt tokens to compute, including those computed again after a preemption."""
    decoding: int = 0
    """Sequences that decode."""
    admitted: list[Sequence] = field(default_factory=list)
    """Sequences that run for the first time."""
    too_long: list[Sequence] = field(default_factory=list)
    """Sequences that end because they exceed the whole cache."""

    @property
    def tokens(self) -> int:
        """All tokens of the step."""
        return self.prompt_tokens + self.decoding


class Scheduler:
    """The queue, the running sequences and their cache. `complete` follows `schedule`, for the same step."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._block_tokens = profile.block_tokens
        self.cache = KVCache(profile.kv_cache_tokens // profile.block_tokens)
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.preemptions = 0
        self.prefix_queries = 0
        """Prompt tokens looked up in the cache."""
        self.prefix_hits = 0

    def add(self, sequence: Sequence) -> None:
        """Add a sequence to the queue."""
        self.waiting.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Remove a sequence from the queue or the batch, and free its blocks."""
        if sequence in self.running:
            self.running.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)
        self._free(sequence)

    def limit_cache(self, tokens: int | None) -> None:
        """Limit the cache to that many tokens; `None`: the profile's number."""
        self.cache.resize((self._profile.kv_cache_tokens if tokens is None else tokens) // self._block_tokens)

    def schedule(self) -> Step:
        """The next step."""
        step = Step()
        while self.cache.used > self.cache.capacity and self.running:
            self._preempt(self.running[-1], step)
        budget = self._profile.step_tokens
        index = 0
        while index < len(self.running) and budget:
            sequence = self.running[index]
            count = min(sequence.outstanding, budget)
            while not self._grow(sequence, count):
                self._preempt(self.running[-1], step)
                if index == len(self.running):
                    break  # the sequence itself was the newest
            else:
                self._add_work(step, sequence, count)
                budget -= count
                index += 1
        self._admit(step, budget)
        return step

    def complete(self, step: Step) -> list[Sequence]:
        """Complete a step. Returns the sequences that gained a token, and those that are complete without one."""
        sampled = []
        for sequence, count in step.work:
            if not sequence.blocks:
                continue  # removed during the step
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
                step.too_long.append(sequence)
                continue
            # The last token is always computed, since the next one is sampled from its logits.
            known = self.cache.cached(sequence.hashes((tokens - 1) // self._block_tokens, self._block_tokens))
            hits = len(known) * self._block_tokens
            self.cache.hold(known)
            sequence.blocks, sequence.computed = known, hits
            count = min(tokens - hits, budget)
            if not self._grow(sequence, count):
                self._free(sequence)
                return
            self.waiting.popleft()
            self.running.append(sequence)
            if not sequence.was_scheduled:
                sequence.was_scheduled, sequence.cached = True, hits
                self.prefix_queries += tokens
                self.prefix_hits += hits
                step.admitted.append(sequence)
            self._add_work(step, sequence, count)
            budget -= count

    def _add_work(self, step: Step, sequence: Sequence, count: int) -> None:
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
            step.too_long.append(sequence)
        else:
            self.preemptions += 1
            self.waiting.appendleft(sequence)

    def _fill(self, sequence: Sequence, before: int) -> None:
        full, size = sequence.computed // self._block_tokens, self._block_tokens
        if full > before // size:
            for block in range(before // size, full):
                self.cache.fill(sequence.blocks[block], sequence.hashes(full, size)[block])

    def _free(self, sequence: Sequence) -> None:
        self.cache.release(sequence.blocks)
        sequence.blocks, sequence.computed = [], 0

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self._block_tokens)
