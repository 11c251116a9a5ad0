"""The KV cache: blocks that sequences hold, and free blocks whose content may be reused.

A full block is found by a hash of its tokens and of all tokens before them, so that sequences with the same beginning share blocks.
Allocation takes the block that has been free for the longest time, and forgets its content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence


class KVCache:
    """Blocks by number. Every holder of a block releases it."""

    def __init__(self, blocks: int) -> None:
        self._total = blocks
        self._capacity = blocks
        self._holders = [0] * blocks
        # In the order of their release: a dict is the shortest ordered set.
        self._free = dict.fromkeys(range(blocks))
        self._retired: list[int] = []  # unused while the cache is limited
        self._block_of: dict[Hashable, int] = {}
        self._content: dict[int, Hashable] = {}

    @property
    def capacity(self) -> int:
        """Blocks in all, under the present limit."""
        return self._capacity

    @property
    def used(self) -> int:
        """Blocks that are held. More than the capacity if that has just been lowered."""
        return self._total - len(self._free) - len(self._retired)

    def resize(self, blocks: int) -> None:
        """Limit the cache to so many blocks, at most the original number. Held blocks in excess retire on their release."""
        self._capacity = min(blocks, self._total)
        while self._retired and self._usable() < self._capacity:
            self._free[self._retired.pop()] = None
        self._retire()

    def cached(self, hashes: Iterable[Hashable]) -> list[int]:
        """The blocks with the first of these hashes, up to the first hash that is not cached."""
        found = []
        for content in hashes:
            block = self._block_of.get(content)
            if block is None:
                break
            found.append(block)
        return found

    def hold(self, blocks: Iterable[int]) -> None:
        """Hold blocks whose content is reused; other sequences may hold them, too."""
        for block in blocks:
            if not self._holders[block]:
                del self._free[block]
            self._holders[block] += 1

    def allocate(self, count: int) -> list[int] | None:
        """Hold so many blocks for new content. `None`, and no block is held, if fewer are free."""
        if count > len(self._free):
            return None
        allocated = []
        for _ in range(count):
            block = next(iter(self._free))
            del self._free[block]
            self._forget(block)
            self._holders[block] = 1
            allocated.append(block)
        return allocated

    def fill(self, block: int, content: Hashable) -> None:
        """Register a full block by its hash. If another block has that hash already, that one stays registered."""
        if content not in self._block_of:
            self._block_of[content] = block
            self._content[block] = content

    def release(self, blocks: Sequence[int]) -> None:
        """Release a sequence's blocks. Its last block is reused first: other sequences rarely share it."""
        for block in reversed(blocks):
            self._holders[block] -= 1
            if not self._holders[block]:
                self._free[block] = None
        self._retire()

    def _usable(self) -> int:
        return self._total - len(self._retired)

    def _retire(self) -> None:
        while self._free and self._usable() > self._capacity:
            block = next(iter(self._free))
            del self._free[block]
            self._forget(block)
            self._retired.append(block)

    def _forget(self, block: int) -> None:
        content = self._content.pop(block, None)
        if content is not None:
            del self._block_of[content]
