"""Streams: read to the end, stopped early, failed, dropped, read in other threads."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.trace import StatusCode

from otel_genai.operation import Operation, Usage
from otel_genai.telemetry.observers import observe
from tests.support.providers import attribute
from tests.support.toy_library import AsyncStream, Stream, ToyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.patched_toy import PatchedToy


@pytest.mark.usefixtures("ticking")
def test_a_stream_read_to_its_end(toy: PatchedToy) -> None:
    operations: list[Operation] = []
    stop = observe(lambda operation, _: operations.append(operation))
    assert list(toy.client.create(result=Stream(["", "a", "b"]))) == ["", "a", "b"]
    stop()
    (operation,) = operations
    # 100 start, 101 the call; then (asked, arrived) for each chunk, asked for the end at 108, ended at 109.
    assert list(operation.timing.asked) == [102.0, 104.0, 106.0]
    assert list(operation.timing.chunks) == [103.0, 105.0, 107.0]
    assert (operation.timing.started, operation.timing.ended) == (100.0, 109.0)
    assert operation.timing.time_to_first_chunk == 3.0
    assert operation.timing.time_to_first_token == 5.0
    assert list(operation.timing.tokens) == [0, 1, 1]
    assert not operation.unfinished
    assert operation.response.usage == Usage(output=3)
    span = toy.recorded.span()
    assert span.end_time == 14_000_000_000
    metrics = toy.recorded.metrics()
    (point,) = metrics["gen_ai.client.operation.time_per_output_chunk"]
    assert (point.count, point.sum) == (2, 4.0)
    (point,) = metrics["gen_ai.client.operation.time_to_first_chunk"]
    assert (point.count, point.sum) == (1, 3.0)


async def test_an_async_stream_read_to_its_end(toy: PatchedToy) -> None:
    stream = await toy.client.acreate(result=AsyncStream(["a", "b"]))
    assert [chunk async for chunk in stream] == ["a", "b"]
    assert attribute(toy.recorded.span(), "gen_ai.usage.output_tokens") == 2


def test_a_stream_behaves_as_the_librarys_own(toy: PatchedToy) -> None:
    original = Stream(["a"])
    stream = toy.client.create(result=original)
    assert isinstance(stream, Stream)
    assert stream.chunks is original.chunks
    stream.note = "kept"  # type: ignore[attr-defined]
    assert vars(original)["note"] == "kept"
    assert not hasattr(stream, "aclose")
    assert not [name for name in vars(original) if "call" in name]
    with stream as entered:
        assert entered is stream
    assert original.closed


def test_the_loop_body_does_not_run_inside_the_span(toy: PatchedToy) -> None:
    before = otel_context.get_current()
    for _ in toy.client.create(result=Stream(["a", "b"])):
        assert otel_context.get_current() is before
    assert otel_context.get_current() is before


def leave_by_break(stream: Any) -> None:
    for _ in stream:
        break


def leave_by_return(stream: Any) -> None:
    for _ in stream:
        return


def leave_by_error(stream: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        for _ in stream:
            1 / 0  # noqa: B018


def close(stream: Any) -> None:
    next(stream)
    stream.close()


def leave_with(stream: Any) -> None:
    with stream:
        next(stream)


def leave_with_by_error(stream: Any) -> None:
    with pytest.raises(ZeroDivisionError), stream:
        next(stream)
        1 / 0  # noqa: B018


def drop(stream: Any) -> None:
    next(stream)


def close_twice(stream: Any) -> None:
    close(stream)
    stream.close()


EARLY_STOPS = [
    leave_by_break,
    leave_by_return,
    leave_by_error,
    close,
    leave_with,
    leave_with_by_error,
    drop,
    close_twice,
]


@pytest.mark.parametrize("stop", EARLY_STOPS)
def test_an_early_stop_is_one_span_without_error(toy: PatchedToy, stop: Callable[[Any], None]) -> None:
    stop(toy.client.create(result=Stream(["a", "b", "c"])))
    span = toy.recorded.span()
    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in (span.attributes or {})
    assert attribute(span, "gen_ai.usage.output_tokens") == 1


def test_break_with_the_stream_still_at_hand_ends_the_span(toy: PatchedToy) -> None:
    stream = toy.client.create(result=Stream(["a", "b"]))
    leave_by_break(stream)
    assert attribute(toy.recorded.span(), "gen_ai.usage.output_tokens") == 1
    assert list(stream) == ["b"], "what is left is still the application's to read"
    assert len(toy.recorded.spans(1)) == 1


async def test_early_stops_of_an_async_stream_are_no_errors(toy: PatchedToy) -> None:
    async for _ in await toy.client.acreate(result=AsyncStream(["a", "b"])):
        break
    original = AsyncStream(["a", "b"])
    async with await toy.client.acreate(result=original) as stream:
        assert await anext(stream) == "a"
    assert original.closed
    stream = await toy.client.acreate(result=AsyncStream(["a"]))
    await anext(stream)
    await stream.close()
    stream = await toy.client.acreate(result=AsyncStream(["a"]))
    await anext(stream)
    del stream
    await asyncio.sleep(0)
    spans = await asyncio.to_thread(toy.recorded.spans, 4)
    assert {span.status.status_code for span in spans} == {StatusCode.UNSET}
    assert [attribute(span, "gen_ai.usage.output_tokens") for span in spans] == [1, 1, 1, 1]


def test_a_stream_that_is_never_read_is_reported(toy: PatchedToy) -> None:
    toy.client.create(result=Stream(["a"]))
    assert "gen_ai.response.time_to_first_chunk" not in (toy.recorded.span().attributes or {})


def test_a_stream_in_cyclic_garbage_is_reported(toy: PatchedToy) -> None:
    holder: dict[str, Any] = {"stream": toy.client.create(result=Stream(["a"]))}
    holder["self"] = holder
    del holder
    gc.collect()
    assert toy.recorded.span().status.status_code is StatusCode.UNSET


def test_an_error_in_mid_stream_is_an_error(toy: PatchedToy) -> None:
    error = ToyError()
    stream = toy.client.create(result=Stream(["a", error]))
    with pytest.raises(ToyError) as caught:
        list(stream)
    assert caught.value is error
    span = toy.recorded.span()
    assert attribute(span, "error.type") == "tests.support.toy_library.ToyError"
    assert attribute(span, "gen_ai.usage.output_tokens") == 1


async def test_a_stream_cancelled_in_flight_ends_as_cancelled(toy: PatchedToy) -> None:
    class Stuck(AsyncStream):
        async def __anext__(self) -> Any:
            await asyncio.Event().wait()

    stream = await toy.client.acreate(result=Stuck([]))
    task = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert attribute(toy.recorded.span(), "error.type") == "asyncio.exceptions.CancelledError"


def test_a_stream_read_and_closed_by_other_threads_is_one_span(
    toy: PatchedToy, caplog: pytest.LogCaptureFixture
) -> None:
    stream = toy.client.create(result=Stream(["a", "b"]))
    reader = threading.Thread(target=next, args=(stream,))
    reader.start()
    reader.join()
    closers = [threading.Thread(target=stream.close) for _ in range(8)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join()
    assert attribute(toy.recorded.span(), "gen_ai.usage.output_tokens") == 1
    assert caplog.records == [], "OpenTelemetry logs a context detached in another thread"


def test_a_reported_operation_does_not_change_afterwards(toy: PatchedToy) -> None:
    operations: list[Operation] = []
    stop = observe(lambda operation, _: operations.append(operation))
    stream = toy.client.create(result=Stream(["a", "b", "c"]))
    next(stream)
    stream.close()
    list(stream)
    stop()
    assert len(operations[0].timing.chunks) == 1
