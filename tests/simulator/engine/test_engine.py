"""The engine alone, on virtual time: the sequences of each step, the times of their events, and the statistics."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest

from otel_genai.simulator.engine.inference import Inference
from tests.support.simulator.virtual_time import PROFILE, Bench

if TYPE_CHECKING:
    from otel_genai.simulator.engine.statistics import Histogram

_OWNER = ContextVar("owner", default="nobody")

# A step of PROFILE takes a second for one sequence and 0.1 more for each further one; a prompt of 32 tokens is read meanwhile.


def values(histogram: Histogram) -> tuple[int, float]:
    """(count, sum)."""
    return histogram.count, round(histogram.sum, 6)


# ── batches ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_single_request_gets_its_first_token_with_its_prefill_and_one_token_a_step_afterwards() -> None:
    bench = Bench()
    (events,) = await bench.run(bench.ask(10, 3))
    assert events == ["1: read 10", "1: token", "2: token", "3: token", "3: stop"]


async def test_a_later_request_joins_the_batch_at_the_next_step() -> None:
    bench = Bench()
    first, second = await bench.run(bench.ask(10, 4), bench.later(1.5, 10, 2, name="q"))
    assert first == ["1: read 10", "1: token", "2: token", "3: token", "4.1: token", "4.1: stop"]
    assert second == ["3: read 10", "3: token", "4.1: token", "4.1: stop"]


async def test_a_larger_batch_has_longer_steps_and_more_tokens_in_all() -> None:
    bench = Bench()
    events = await bench.run(*(bench.ask(2, 3, name=name) for name in "pqrstu"))
    assert events == [["1: read 2", "1: token", "2.5: token", "4: token", "4: stop"]] * 6


async def test_sequences_beyond_the_batch_wait_in_the_order_of_their_submission() -> None:
    bench = Bench(dataclasses.replace(PROFILE, max_sequences=1))
    events = await bench.run(*(bench.ask(4, 2, name=name) for name in "pqr"))
    assert [each[0] for each in events] == ["1: read 4", "3: read 4", "5: read 4"]
    assert values(bench.statistics.queue_time) == (3, 0 + 2 + 4)
    assert bench.loads[2][:2] == (0, 3)
    assert bench.loads[3][:2] == (1, 2)


async def test_a_long_prompt_is_read_in_chunks_while_others_decode() -> None:
    bench = Bench()
    first, second = await bench.run(bench.ask(4, 5, name="q"), bench.ask(70, 1))
    # 4 + 28 of 32 tokens, then 1 + 31, then 1 + 11.
    assert first == ["1: read 4", "1: token", "2: token", "3: token", "4: token", "5: token", "5: stop"]
    assert second == ["3: read 70", "3: token", "3: stop"]
    assert values(bench.statistics.iteration_tokens) == (5, 32 + 32 + 12 + 1 + 1)


async def test_a_prefill_that_takes_longer_than_the_weights_makes_the_step_longer() -> None:
    bench = Bench(dataclasses.replace(PROFILE, step_tokens=160, prefill_tokens_per_second=50, step_overhead_ms=250))
    (events,) = await bench.run(bench.ask(100, 2))
    assert events == ["2.25: read 100", "2.25: token", "3.5: token", "3.5: stop"]


async def test_choices_share_the_blocks_of_their_prompt() -> None:
    bench = Bench()
    (events,) = await bench.run(bench.ask(10, 2, n=2))
    assert events == [
        "1: read 10",
        "1: token",
        "1: token of 1",
        "2.1: token",
        "2.1: stop",
        "2.1: token of 1",
        "2.1: stop of 1",
    ]


# ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_newest_sequence_is_preempted_and_computed_again() -> None:
    bench = Bench(dataclasses.replace(PROFILE, kv_cache_tokens=32))
    older, newer = await bench.run(bench.ask(12, 8, name="p"), bench.ask(12, 8, name="q"))
    moments = [each.partition(":")[0] for each in older if "token" in each]
    assert moments == ["1", "2.1", "3.2", "4.3", "5.4", "6.4", "7.4", "8.4"]
    # No token while the older sequence needs the whole cache. Then its 17 tokens are read again, except for cached blocks.
    moments = [each.partition(":")[0] for each in newer if "token" in each]
    assert moments == ["1", "2.1", "3.2", "4.3", "5.4", "9.4", "10.4", "11.4"]
    assert bench.statistics.preemptions == 1
    # A preemption is no second time in the queue, and no second prompt.
    assert values(bench.statistics.queue_time) == (2, 0)
    assert bench.statistics.prefix_cache_queries == 24
    assert bench.loads[6] == (2, 0, 1.0)
    assert bench.loads[7] == (1, 1, 0.625)
    assert bench.loads[-1] == (0, 0, 0.0)


async def test_a_shared_prefix_is_read_once() -> None:
    bench = Bench()
    (first,) = await bench.run(bench.ask(10, 1))
    (second,) = await bench.run(bench.ask(10, 1))
    assert first == ["1: read 10", "1: token", "1: stop"]
    assert second == ["2: read 10, 8 cached", "2: token", "2: stop"]
    assert (bench.statistics.prefix_cache_queries, bench.statistics.prefix_cache_hits) == (20, 8)
    assert values(bench.statistics.iteration_tokens) == (2, 10 + 2)


async def test_the_last_token_of_a_fully_cached_prompt_is_computed() -> None:
    bench = Bench()
    await bench.run(bench.ask(8, 1))
    (second,) = await bench.run(bench.ask(8, 1))
    assert second[0] == "2: read 8, 4 cached"


async def test_the_least_recently_used_prefix_is_evicted_first() -> None:
    bench = Bench(dataclasses.replace(PROFILE, kv_cache_tokens=24))
    for name in ("p", "q", "p", "r"):
        await bench.run(bench.ask(9, 1, name=name))
    (again,) = await bench.run(bench.ask(9, 1, name="p"))
    (gone,) = await bench.run(bench.ask(9, 1, name="q"))
    assert again[0].endswith("read 9, 8 cached")
    assert gone[0].endswith("read 9")


async def test_an_answer_ends_at_the_context_length() -> None:
    bench = Bench(dataclasses.replace(PROFILE, context_tokens=6))
    (events,) = await bench.run(bench.ask(4, 5))
    assert events == ["1: read 4", "1: token", "2: token", "2: length"]


async def test_a_cancelled_request_frees_its_blocks() -> None:
    bench = Bench()
    staying = asyncio.ensure_future(bench.ask(4, 6))
    leaving = asyncio.ensure_future(bench.ask(4, 6, name="q"))
    bench.time.at(2.5, leaving.cancel)
    (events,) = await bench.run(staying)
    assert events[-1] == "6.2: stop"
    assert leaving.cancelled()
    assert bench.statistics.finished == {"stop": 1, "abort": 1}
    assert bench.loads[-1] == (0, 0, 0.0)
    assert bench.statistics.generation_tokens == 6 + 2


async def test_a_request_cancelled_in_the_queue_is_never_computed() -> None:
    bench = Bench(dataclasses.replace(PROFILE, max_sequences=1))
    staying, leaving = asyncio.ensure_future(bench.ask(4, 3)), asyncio.ensure_future(bench.ask(4, 3, name="q"))
    bench.time.at(1.5, leaving.cancel)
    await bench.run(staying)
    assert bench.time.now == 3
    assert (bench.statistics.finished["abort"], bench.statistics.prompt_tokens) == (1, 4)
    assert values(bench.statistics.queue_time) == (1, 0)


# ── statistics ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_times_start_at_submission_scheduling_and_first_token() -> None:
    bench = Bench(dataclasses.replace(PROFILE, max_sequences=1))
    await bench.run(bench.ask(4, 3, name="p"), bench.ask(40, 2, name="q"))
    statistics = bench.statistics
    assert (statistics.prompt_tokens, statistics.generation_tokens) == (44, 5)
    assert values(statistics.queue_time) == (2, 0 + 3)
    assert values(statistics.prefill_time) == (2, 1 + 2)
    assert values(statistics.decode_time) == (2, 2 + 1)
    assert values(statistics.time_to_first_token) == (2, 1 + 5)
    assert values(statistics.inter_token_latency) == (3, 1 + 1 + 1)
    assert values(statistics.time_per_output_token) == (2, 1 + 1)
    assert values(statistics.e2e_latency) == (2, 3 + 6)
    assert statistics.finished == {"stop": 2}


async def test_the_load_is_that_of_the_last_step() -> None:
    bench, seen = Bench(dataclasses.replace(PROFILE, max_sequences=2)), []

    def look() -> None:
        seen.append((bench.statistics.running, bench.statistics.waiting, bench.statistics.kv_cache_utilization))

    bench.time.at(1.5, look)
    await bench.run(*(bench.ask(4, 2, name=name) for name in "pqr"))
    look()
    assert seen == [(2, 1, 2 / 40), (0, 0, 0.0)]


async def test_the_engine_runs_outside_of_every_requests_context(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, seen = Bench(), set()

    async def sleep(seconds: float) -> None:
        seen.add(_OWNER.get())
        await bench.time.sleep(seconds)

    monkeypatch.setattr(bench.engine, "_sleep", sleep)
    _OWNER.set("a request")
    await bench.run(bench.ask(4, 2))
    assert seen == {"nobody"}


async def test_an_embedding_is_read_and_nothing_is_generated() -> None:
    bench = Bench()
    inference = Inference(prompts=("a b c", "d e"), pooled=True)
    events = [event async for event in bench.engine.generate(inference)]
    assert [type(event).__name__ for event in events] == ["Prefill", "Finish", "Prefill", "Finish"]
    statistics = bench.statistics
    assert (statistics.prompt_tokens, statistics.generation_tokens) == (5, 0)
    assert (values(statistics.time_to_first_token), values(statistics.prefill_time)) == ((0, 0), (2, 2))


async def test_an_empty_prompt_still_has_the_token_that_begins_it() -> None:
    bench = Bench()
    (events,) = await bench.run(bench.ask(0, 1))
    assert events == ["1: read 1", "1: token", "1: stop"]


async def test_the_same_requests_get_the_same_tokens_at_the_same_times() -> None:
    async def run() -> list[list[str]]:
        bench, draw = Bench(dataclasses.replace(PROFILE, kv_cache_tokens=64)), random.Random(7)
        requests = [
            bench.later(draw.random() * 20, draw.randrange(1, 30), draw.randrange(1, 20), name=draw.choice("pqrs"))
            for _ in range(40)
        ]
        return await bench.run(bench.ask(1, 40), *requests)

    first = await run()
    assert await run() == first
    assert all(each[-1].endswith("stop") for each in first)


@pytest.mark.parametrize("seed", range(20))
async def test_no_token_is_lost_and_no_block_leaks_under_random_load(seed: int) -> None:
    draw = random.Random(seed)
    bench = Bench(dataclasses.replace(PROFILE, kv_cache_tokens=48, max_sequences=5, step_tokens=16))
    sizes = [(draw.randrange(1, 30), draw.randrange(0, 17)) for _ in range(30)]
    requests = [bench.later(draw.random() * 60, prompt, answer, name=draw.choice("pqrs")) for prompt, answer in sizes]
    for moment in (20, 40):
        bench.time.at(moment, lambda: bench.faults.update({"kv_tokens": draw.randrange(40, 48)}))
    leaving = asyncio.ensure_future(bench.ask(8, 40))
    bench.time.at(30.5, leaving.cancel)
    _, *answers = await bench.run(bench.ask(1, 80 if seed % 2 else 45), *requests)
    for (prompt, answer), events in zip(sizes, answers, strict=True):
        tokens = sum(event.endswith("token") for event in events)
        assert tokens == answer or (events[-1].endswith("length") and prompt + tokens >= 36)
        moments = [float(event.partition(":")[0]) for event in events]
        assert moments == sorted(moments)
    assert bench.loads[-1] == (0, 0, 0.0)
    assert all(0 <= usage <= 1.2 for _, _, usage in bench.loads if usage is not None)
    assert bench.statistics.finished.total() == 32


# ── faults ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_decoding_is_slow_only_while_the_fault_is_on() -> None:
    bench = Bench()
    bench.time.at(1.5, lambda: bench.faults.update({"slow_decode": 3}))
    bench.time.at(5.5, lambda: bench.faults.update({"slow_decode": None}))
    (events,) = await bench.run(bench.ask(4, 5))
    assert events == ["1: read 4", "1: token", "2: token", "5: token", "8: token", "9: token", "9: stop"]


async def test_prefill_is_not_slowed_down() -> None:
    bench = Bench(faults={"slow_decode": 3})
    (events,) = await bench.run(bench.ask(64, 2))
    assert events == ["2: read 64", "2: token", "5: token", "5: stop"]


async def test_a_limited_cache_preempts_sequences_until_the_limit_is_lifted() -> None:
    bench = Bench()
    bench.time.at(1.5, lambda: bench.faults.update({"kv_tokens": 20}))
    bench.time.at(5.5, lambda: bench.faults.update({"kv_tokens": None}))
    older, newer = await bench.run(bench.ask(10, 8), bench.ask(10, 8, name="q"))
    assert [each.partition(":")[0] for each in older if "token" in each] == [
        "1", "2.1", "3.1", "4.1", "5.1", "6.1", "7.1", "8.2",
    ]  # fmt: skip
    assert [each.partition(":")[0] for each in newer if "token" in each][:3] == ["1", "2.1", "7.1"]
    assert bench.statistics.preemptions == 1
    assert (1, 1, 0.8) in bench.loads


async def test_a_sequence_longer_than_the_whole_cache_ends_with_length() -> None:
    bench = Bench(faults={"kv_tokens": 8})
    running, waiting = await bench.run(bench.ask(6, 9), bench.ask(12, 3, name="q"))
    assert running == ["1: read 6", "1: token", "2: token", "3: token", "3: length"]
    assert waiting[-1].endswith(": length")
    assert len(waiting) == 1
    assert bench.statistics.finished == {"length": 2}
    assert bench.statistics.prompt_tokens == 6
    assert values(bench.statistics.iteration_tokens) == (3, 6 + 1 + 1)


async def test_every_hundredth_step_can_stall() -> None:
    bench = Bench(faults={"stall": 50})
    (events,) = await bench.run(bench.ask(4, 102))
    assert events[-5:] == ["99: token", "150: token", "151: token", "152: token", "152: stop"]


async def test_an_error_of_the_engine_is_raised_in_the_waiting_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("otel_genai.simulator.engine.scheduler.Scheduler.schedule", broken)
    with pytest.raises(ZeroDivisionError):
        await bench.run(bench.ask(4, 1))


# ── a late machine ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_late_steps_do_not_delay_the_steps_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    slept = []

    async def sleep_too_long(seconds: float) -> None:
        slept.append(round(seconds, 3))
        await bench.time.sleep(seconds + 0.25)

    monkeypatch.setattr(bench.engine, "_sleep", sleep_too_long)
    (events,) = await bench.run(bench.ask(4, 4))
    assert slept == [1.0, 0.75, 0.75, 0.75]
    assert events == ["1.25: read 4", "1.25: token", "2.25: token", "3.25: token", "4.25: token", "4.25: stop"]
    assert values(bench.statistics.step_lateness) == (4, 1.0)
