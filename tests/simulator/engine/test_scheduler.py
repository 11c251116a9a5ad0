"""The scheduler and the cache alone: the work of one step, and the blocks that stay cached."""

from __future__ import annotations

import dataclasses

from otel_genai.simulator.engine.kv_cache import KVCache
from otel_genai.simulator.engine.scheduler import Scheduler, Sequence
from tests.support.simulator.virtual_time import PROFILE


def sequence(prompt: int, answer: int, name: str = "p") -> Sequence:
    return Sequence([name] * prompt, ["a"] * answer)


def test_a_step_computes_at_most_its_limit_of_tokens() -> None:
    scheduler = Scheduler(PROFILE)
    first, second, third = sequence(20, 1), sequence(20, 1, "q"), sequence(20, 1, "r")
    for each in (first, second, third):
        scheduler.add(each)
    step = scheduler.schedule()
    assert step.work == [(first, 20), (second, 12)]
    assert (step.prompt_tokens, step.decoding, step.admitted) == (32, 0, [first, second])
    assert scheduler.complete(step) == [first]
    assert scheduler.schedule().work == [(second, 8), (third, 20)]


def test_a_prompt_of_one_token_is_read_and_not_decoded() -> None:
    scheduler = Scheduler(PROFILE)
    scheduler.add(sequence(1, 2))
    step = scheduler.schedule()
    assert (step.prompt_tokens, step.decoding) == (1, 0)
    scheduler.complete(step)
    step = scheduler.schedule()
    assert (step.prompt_tokens, step.decoding) == (0, 1)


def test_a_sequence_removed_during_a_step_gets_no_token() -> None:
    scheduler = Scheduler(PROFILE)
    removed = sequence(4, 2)
    scheduler.add(removed)
    step = scheduler.schedule()
    scheduler.remove(removed)
    assert scheduler.complete(step) == []
    assert scheduler.cache.used == 0


def test_a_preempted_sequence_runs_next_but_not_in_the_same_step() -> None:
    scheduler = Scheduler(dataclasses.replace(PROFILE, kv_cache_tokens=24, max_sequences=2, step_tokens=10))
    older, newer, waiting = sequence(8, 9, "p"), sequence(12, 9, "q"), sequence(4, 1, "r")
    for each in (older, newer, waiting):
        scheduler.add(each)
    for _ in range(3):
        scheduler.complete(scheduler.schedule())
    # 9 or more tokens are three blocks, 13 are four, and there are six.
    assert scheduler.preemptions == 0
    step = scheduler.schedule()
    assert scheduler.preemptions == 1
    assert [each for each, _ in step.work] == [older]
    assert list(scheduler.waiting) == [newer, waiting]


def test_the_last_blocks_of_a_sequence_are_reused_before_its_first() -> None:
    cache = KVCache(4)
    blocks = cache.allocate(3)
    assert blocks == [0, 1, 2]
    for block, content in zip(blocks, "abc", strict=True):
        cache.fill(block, content)
    cache.release(blocks)
    assert cache.cached("abc") == [0, 1, 2]
    assert cache.allocate(2) == [3, 2]
    assert cache.cached("abc") == [0, 1]


def test_a_shared_block_is_free_when_both_holders_have_released_it() -> None:
    cache = KVCache(2)
    blocks = cache.allocate(1)
    assert blocks is not None
    cache.hold(blocks)
    cache.release(blocks)
    assert cache.used == 1
    assert cache.allocate(2) is None
    cache.release(blocks)
    assert cache.used == 0
    assert cache.allocate(2) == [1, 0]


def test_blocks_released_to_a_limited_cache_retire() -> None:
    cache = KVCache(4)
    blocks = cache.allocate(3)
    assert blocks is not None
    cache.resize(2)
    assert (cache.used, cache.capacity) == (3, 2)
    assert cache.allocate(1) is None
    cache.release(blocks)
    assert cache.allocate(3) is None
    assert cache.allocate(2) is not None
    cache.resize(9)
    assert (cache.used, cache.capacity) == (2, 4)
    assert cache.allocate(2) is not None
