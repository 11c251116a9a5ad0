"""The memory of a call: bounded while it is open, none after its end."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

import otel_genai
from otel_genai.call.call import Call
from otel_genai.config import Config
from otel_genai.endpoint.rows import CallRow
from otel_genai.operation import Operation
from otel_genai.patching.patches import Patches
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.openai.clients import USER, client
from tests.support.openai.scripted_server import HELLO, chunk, completion, delta
from tests.support.openai.transport import client_of_body, client_of_events
from tests.support.patched_toy import SPAN_IN_LIBRARY, library
from tests.support.toy_library import TOY, Stream, ToyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.providers import Recorded

ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": USER}
STREAMING: dict[str, Any] = {**ASKED, "stream": True}
MIB = 2**20


@pytest.fixture
def providers() -> dict[str, Any]:
    """Providers that sample every span, aggregate metrics, and keep no span."""
    return {
        "tracer_provider": TracerProvider(shutdown_on_exit=False),
        "meter_provider": MeterProvider(metric_readers=[InMemoryMetricReader()], shutdown_on_exit=False),
    }


@pytest.fixture
def instrumented_without_spans(providers: dict[str, Any]) -> Iterator[None]:
    """Everything instrumented, with content off."""
    otel_genai.instrument(**providers)
    yield
    otel_genai.uninstrument()


def resident() -> int:
    """Resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def alive(*kinds: type, besides: list[Any] | None = None) -> list[Any]:
    """Objects of exactly these types, without the ones that the rest of the test run keeps."""
    gc.collect()
    known = set(map(id, besides or ()))
    return [found for found in gc.get_objects() if type(found) in kinds and id(found) not in known]


# ── an open call ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("instrumented_without_spans")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_a_stream_of_twenty_thousand_chunks_grows_by_two_times_per_chunk() -> None:
    others = alive(ChatCompletionChunk)
    hundred = [chunk(delta(content="word "))] * 100
    stream = client_of_events(*hundred, times=220).chat.completions.create(**STREAMING)
    for _ in range(2_000):
        next(stream)
    gc.collect()
    before = resident()
    for _ in range(20_000):
        next(stream)
    gc.collect()
    assert resident() - before <= 2 * MIB
    call: Call = stream._self_call
    times = (call._chunks, call._waits)
    assert [len(array) * array.itemsize for array in times] == [8 * 22_000, 4 * 22_000]
    assert sum(map(sys.getsizeof, times)) <= 16 * 22_000
    assert len(alive(ChatCompletionChunk, besides=others)) <= 2, "the first and the latest"
    stream.close()


@pytest.mark.usefixtures("instrumented_without_spans")
def test_a_stream_of_many_chunks_with_content_off_keeps_no_text() -> None:
    stream = client_of_events(*[chunk(delta(content="word " * 200))] * 10, times=50).chat.completions.create(
        **STREAMING
    )
    for _ in range(500):
        next(stream)
    fold = stream._self_call._fold
    size = sum(len(piece) for piece in reachable_strings(fold.__dict__))
    assert size <= 2 * 1_000 + 1_000, "two chunks at the most"
    stream.close()


def reachable_strings(root: Any) -> Iterable[str]:
    """Every string in the data beneath `root`."""
    if isinstance(root, str):
        yield root
    elif isinstance(root, dict):
        for value in root.values():
            yield from reachable_strings(value)
    elif isinstance(root, list | tuple):
        for item in root:
            yield from reachable_strings(item)
    elif isinstance(root, openai.BaseModel):
        yield from reachable_strings(root.__dict__)


# ── an ended call ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_five_thousand_calls_of_every_kind_leave_no_objects(providers: dict[str, Any]) -> None:
    others = alive(Call, Operation)
    module = library()
    sys.modules["toy_library"] = module
    telemetry = Telemetry("toy", "1", Config(content_on_spans=True), **providers)
    patches = Patches((CallRow(module="toy_library", target="Client.create", endpoint=TOY),), lambda: telemetry)
    patches.apply()
    toy = module.Client()

    def work(rounds: int) -> None:
        for _ in range(rounds):
            toy.create(result="x", text="hello")
            list(toy.create(result=Stream(["a", "b"]), text="hello"))
            stream = toy.create(result=Stream(["a", "b"]), text="hello")
            next(stream)
            stream.close()
            with toy.create(result=Stream(["a"]), text="hello"):
                pass
            with suppress(ToyError):
                toy.create(result=ToyError(), text="hello")

    work(600)
    gc.collect()
    tracemalloc.start()
    earlier = tracemalloc.take_snapshot()
    work(400)
    gc.collect()
    later = tracemalloc.take_snapshot()
    tracemalloc.stop()
    patches.revert()
    del sys.modules["toy_library"]
    SPAN_IN_LIBRARY.clear()
    ours = [tracemalloc.Filter(True, str(Path(otel_genai.__file__).parent / "**" / "*")),
            tracemalloc.Filter(True, str(Path(otel_genai.__file__).parent / "*"))]  # fmt: skip
    grown = sum(line.size_diff for line in later.filter_traces(ours).compare_to(earlier.filter_traces(ours), "lineno"))
    assert grown <= 2 * 1024, "a byte a call"
    assert alive(Call, Operation, besides=others) == []


@pytest.mark.usefixtures("instrumented_without_spans")
def test_a_thousand_calls_of_the_real_client_leave_no_objects() -> None:
    kinds = (Call, Operation, ChatCompletion, ChatCompletionChunk)
    others = alive(*kinds)
    whole, streamed = client_of_body(completion()).chat.completions, client_of_events(*HELLO).chat.completions
    for _ in range(500):
        whole.create(**ASKED)
        assert len(list(streamed.create(**STREAMING))) == 5
    assert alive(*kinds, besides=others) == []


def test_an_ended_call_holds_no_object_of_the_application(capturing: Recorded) -> None:
    # The fixture's exporters keep text only.
    message: Any = ChatCompletionMessage.model_validate({"role": "assistant", "content": "Hi"})
    asking = client_of_body(completion())
    answer = asking.chat.completions.create(model="gpt-4o", messages=[*USER, message])
    held: list[Any] = [weakref.ref(message), weakref.ref(answer), weakref.ref(answer.choices[0].message)]
    assert capturing.span().name == "chat gpt-4o"
    del message, answer
    gc.collect()
    assert [reference() for reference in held] == [None] * 3


@pytest.mark.parametrize("read", [1, 5])
def test_an_ended_stream_that_is_kept_holds_no_object_of_the_application(capturing: Recorded, read: int) -> None:
    message: Any = ChatCompletionMessage.model_validate({"role": "assistant", "content": "Hi"})
    stream: Any = client_of_events(*HELLO).chat.completions.create(
        model="gpt-4o", messages=[*USER, message], stream=True
    )
    chunks = [next(stream) for _ in range(read)]
    stream.close()
    assert capturing.span().name == "chat gpt-4o"
    held: list[Any] = [weakref.ref(message), *map(weakref.ref, chunks)]
    del message, chunks
    # The client's own half-read generators still hold some.
    stream._iterator.close()
    gc.collect()
    assert [reference() for reference in held] == [None] * len(held)


@pytest.mark.usefixtures("instrumented_without_spans")
def test_an_error_is_not_kept() -> None:
    others = alive(Call, Operation)
    refusing = client("http://127.0.0.1:9/v1")
    with pytest.raises(openai.APIConnectionError) as caught:
        refusing.chat.completions.create(**ASKED)
    error = weakref.ref(caught.value)
    del caught
    gc.collect()
    assert error() is None
    assert alive(Call, Operation, besides=others) == []
