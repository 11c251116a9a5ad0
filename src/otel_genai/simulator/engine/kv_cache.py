"""The KV cache: blocks that sequences hold, and blocks that nobody holds but whose content may be wanted again.

A full block is known by a hash of its tokens and of all before them, so that what begins alike shares its blocks.
The block that has been free for longest is taken first; what it held is then forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence


class KVCache:
    """Blocks by number. Whoever takes some gives them back."""

    def __init__(self, blocks: int) -> None:
        self._total = blocks
        self._capacity = blocks
        self._holders = [0] * blocks
        # In the order in which they were given back: a dict is the shortest ordered set.
        self._free = dict.fromkeys(range(blocks))
        self._idle: list[int] = []  # out of service while the cache is smaller than it was built
        self._block_of: dict[Hashable, int] = {}
        self._content: dict[int, Hashable] = {}

    @property
    def capacity(self) -> int:
        """Blocks that it has."""
        return self._capacity

    @property
    def used(self) -> int:
        """Blocks that somebody holds. More than the capacity if that has just been lowered."""
        return self._total - len(self._free) - len(self._idle)

    def resize(self, blocks: int) -> None:
        """Have so many blocks, at most those that it was built with. Held ones go out of service when they are given back."""
        self._capacity = min(blocks, self._total)
        while self._idle and self._in_service() < self._capacity:
            self._free[self._idle.pop()] = None
        self._retire()

    def cached(self, hashes: Iterable[Hashable]) -> list[int]:
        """The blocks that hold the beginning of what has these hashes, as far as it is known."""
        found = []
        for content in hashes:
            block = self._block_of.get(content)
            if block is None:
                break
            found.append(block)
        return found

    def hold(self, blocks: Iterable[int]) -> None:
        """Take blocks whose content is wanted, from whomever else may hold them."""
        for block in blocks:
            if not self._holders[block]:
                del self._free[block]
            self._holders[block] += 1

    def allocate(self, count: int) -> list[int] | None:
        """Take so many blocks for something new; `None`, and none is taken, if there are fewer."""
        if count > len(self._free):
            return None
        taken = []
        for _ in range(count):
            block = next(iter(self._free))
            del self._free[block]
            self._forget(block)
            self._holders[block] = 1
            taken.append(block)
        return taken

    def fill(self, block: int, content: Hashable) -> None:
        """A block is full, and this is its hash. What another holds already is known by that other."""
        if content not in self._block_of:
            self._block_of[content] = block
            self._content[block] = content

    def release(self, blocks: Sequence[int]) -> None:
        """Give a sequence's blocks back. Its last is the first to be taken again: others rarely begin like all of it."""
        for block in reversed(blocks):
            self._holders[block] -= 1
            if not self._holders[block]:
                self._free[block] = None
        self._retire()

    def _in_service(self) -> int:
        return self._total - len(self._idle)

    def _retire(self) -> None:
        while self._free and self._in_service() > self._capacity:
            block = next(iter(self._free))
            del self._free[block]
            self._forget(block)
            self._idle.append(block)

    def _forget(self, block: int) -> None:
        content = self._content.pop(block, None)
        if content is not None:
            del self._block_of[content]
