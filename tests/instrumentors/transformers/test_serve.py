"""`transformers serve` under `otel-genai run`, and OpenAI's client in front of it: one trace over both processes."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from openai import APIStatusError
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support import transformer_models
from tests.support.openai.clients import client
from tests.support.otlp.receiver import Received, receiver
from tests.support.processes import ENVIRONMENT, RUN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.providers import Recorded

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("transformers.cli") is None or importlib.util.find_spec("fastapi") is None,
    reason="this version of transformers serves in another way, or not at all",
)

READY_WITHIN_S = 120.0  # 5 on an idle machine with two cores
TOLD_WITHIN_S = 20.0
TRANSFORMERS = str(Path(sys.executable).with_name("transformers"))
QUESTION: list[Any] = [{"role": "user", "content": "Tell me something about the sea."}]


class Serving(NamedTuple):
    model: str
    url: str
    port: int
    told: Received


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Serving]:
    """A server of the model in a folder, instrumented by the runner alone."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with receiver() as told, (folder / "server.log").open("w+") as log:
        process = subprocess.Popen(
            [
                *RUN,
                TRANSFORMERS,
                "serve",
                str(folder),
                "--device",
                "cpu",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                *options,
            ],
            env=ENVIRONMENT
            | {
                "HF_HUB_OFFLINE": "1",
                "OMP_NUM_THREADS": "1",
                "OTEL_EXPORTER_OTLP_ENDPOINT": told.endpoint,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_BSP_SCHEDULE_DELAY": "50",
                "OTEL_BLRP_SCHEDULE_DELAY": "50",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            await_health(port, process, log)
            yield Serving(str(folder), f"http://127.0.0.1:{port}/v1", port, told)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def await_health(port: int, process: subprocess.Popen[bytes], log: Any) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        if process.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            pytest.fail(f"the server does not answer: {log.read()}")
        time.sleep(0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return transformer_models.save("llama", tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    with serving(folder) as server:
        yield server


@pytest.fixture(scope="module")
def batching_server(folder: Path) -> Iterator[Serving]:
    with serving(folder, "--continuous-batching", "--cb-num-blocks", "16", "--cb-max-batch-tokens", "64") as server:
        yield server


@pytest.fixture(params=["server", "batching_server"])
def any_server(request: pytest.FixtureRequest) -> Serving:
    found: Serving = request.getfixturevalue(request.param)
    return found


def attributes(span: Span) -> dict[str, Any]:
    return {pair.key: value(pair.value) for pair in span.attributes}


def value(given: Any) -> Any:
    kind = given.WhichOneof("value")
    return tuple(map(value, given.array_value.values)) if kind == "array_value" else getattr(given, kind)


def told(server: Serving, trace_id: int, operation: str, count: int = 1) -> list[Span]:
    """The spans of an operation that the server has told of a trace, once there are so many."""

    def found() -> list[Span]:
        return [
            span
            for span in server.told.spans
            if int.from_bytes(span.trace_id) == trace_id and attributes(span).get("gen_ai.operation.name") == operation
        ]

    server.told.wait_for(lambda: len(found()) >= count, patience=TOLD_WITHIN_S)
    spans = found()
    assert len(spans) == count, [span.name for span in server.told.spans]
    return spans


def is_beneath(server: Serving, span: Span, ancestor: int) -> bool:
    """Whether a span of the server is a child of another, if need be through those of the server's web framework."""

    def found() -> bool:
        parents = {each.span_id: each.parent_span_id for each in server.told.spans}
        place = span.parent_span_id
        while place in parents:
            place = parents[place]
        return int.from_bytes(place) == ancestor

    return server.told.wait_for(found, patience=TOLD_WITHIN_S)


def caller(recorded: Recorded) -> Any:
    """Where the client's one span is."""
    return recorded.span().context


SERVED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "huggingface",
    "gen_ai.request.model": "tiny-llama",
    "gen_ai.request.max_tokens": 5,
    "gen_ai.response.finish_reasons": ("length",),
    "gen_ai.usage.input_tokens": 17,
    "gen_ai.usage.output_tokens": 5,
}


def without_times(span: Span) -> dict[str, Any]:
    return {name: value for name, value in attributes(span).items() if not isinstance(value, float)}


def test_the_clients_and_the_servers_work_are_one_trace(any_server: Serving, instrumented: Recorded) -> None:
    answer = client(any_server.url).chat.completions.create(model=any_server.model, messages=QUESTION, max_tokens=5)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5
    asked = caller(instrumented)
    (served,) = told(any_server, asked.trace_id, "chat")
    assert is_beneath(any_server, served, asked.span_id)
    assert (served.name, served.kind) == ("chat tiny-llama", Span.SPAN_KIND_SERVER)
    assert without_times(served) == SERVED


def test_a_stream_is_one_trace_too_and_has_the_servers_times(any_server: Serving, instrumented: Recorded) -> None:
    stream = client(any_server.url).chat.completions.create(
        model=any_server.model, messages=QUESTION, max_tokens=5, stream=True
    )
    assert list(stream)[-1].choices[0].finish_reason == "length"
    asked = instrumented.span()
    assert asked.context is not None
    (served,) = told(any_server, asked.context.trace_id, "chat")
    assert is_beneath(any_server, served, asked.context.span_id)
    assert without_times(served) == SERVED | {"gen_ai.request.stream": True}
    first = attributes(served)["otel_genai.response.time_to_first_token"]
    # The server's is part of the client's.
    assert 0 < first < asked.attributes["otel_genai.response.time_to_first_token"]  # type: ignore[index]
    assert asked.start_time is not None
    assert asked.start_time < served.start_time_unix_nano


def test_batching_tells_how_long_a_request_waited(batching_server: Serving, instrumented: Recorded) -> None:
    stream = client(batching_server.url).chat.completions.create(
        model=batching_server.model, messages=QUESTION, max_tokens=5, stream=True
    )
    list(stream)
    (served,) = told(batching_server, caller(instrumented).trace_id, "chat")
    phases = [attributes(served)[f"otel_genai.phase.{name}"] for name in ("queue", "prefill", "decode")]
    assert sum(phases) == pytest.approx((served.end_time_unix_nano - served.start_time_unix_nano) / 1e9, rel=1e-6)


def test_other_interfaces_are_served_under_their_names(server: Serving, instrumented: Recorded) -> None:
    client(server.url).completions.create(model=server.model, prompt="The sea", max_tokens=5)
    client(server.url).responses.create(model=server.model, input="The sea?", max_output_tokens=5)
    completion, response = instrumented.spans(2)
    assert completion.context is not None
    assert response.context is not None
    (served,) = told(server, completion.context.trace_id, "text_completion")
    assert served.kind == Span.SPAN_KIND_SERVER
    (served,) = told(server, response.context.trace_id, "chat")
    assert served.kind == Span.SPAN_KIND_SERVER


def test_a_request_that_is_refused_is_a_span_of_the_server_too(server: Serving, instrumented: Recorded) -> None:
    with pytest.raises(APIStatusError) as refused:
        client(server.url).chat.completions.create(
            model=server.model, messages=QUESTION, extra_body={"no_such_field": 1}
        )
    asked = caller(instrumented)
    (served,) = told(server, asked.trace_id, "chat")
    assert is_beneath(server, served, asked.span_id)
    assert served.kind == Span.SPAN_KIND_SERVER
    assert attributes(served)["error.type"] == str(refused.value.status_code) == "422"


def test_a_caller_without_a_trace_is_served_in_one_of_its_own(server: Serving) -> None:
    before = len(chats(server))
    client(server.url).chat.completions.create(model=server.model, messages=QUESTION, max_tokens=5)
    server.told.wait_for(lambda: len(chats(server)) > before, patience=TOLD_WITHIN_S)
    served = chats(server)[-1]
    assert served.kind == Span.SPAN_KIND_SERVER
    assert is_beneath(server, served, 0)


def chats(server: Serving) -> list[Span]:
    return [span for span in server.told.spans if span.name.startswith("chat ")]


def test_a_client_that_goes_is_no_error_of_the_server(any_server: Serving, instrumented: Recorded) -> None:
    stream = client(any_server.url).chat.completions.create(
        model=any_server.model, messages=QUESTION, max_tokens=450, stream=True
    )
    next(chunk for chunk in stream if chunk.choices[0].delta.content)
    stream.close()
    (served,) = told(any_server, caller(instrumented).trace_id, "chat")
    assert served.status.code == 0
    assert "error.type" not in attributes(served)
    assert attributes(served)["gen_ai.response.finish_reasons"] == ("error",)
    assert attributes(served)["gen_ai.usage.output_tokens"] < 450


def test_a_server_tells_how_it_came_to_be_of_use(server: Serving, instrumented: Recorded) -> None:
    client(server.url).chat.completions.create(model=server.model, messages=QUESTION, max_tokens=5)
    caller(instrumented)
    (load,) = [span for span in server.told.spans if span.name == "load_model tiny-llama"]
    assert load.parent_span_id == b""
    assert {span.name for span in server.told.spans if span.parent_span_id == load.span_id} == {
        "resolve",
        "read_weights",
        "finish_weights",
    }
    server.told.wait_for(lambda: bool(server.told.logs), patience=TOLD_WITHIN_S)
    (first,) = [record for record in server.told.logs if record.event_name == "otel_genai.first_generation"]
    since_start = next(
        pair.value.double_value for pair in first.attributes if pair.key == "otel_genai.since_process_start"
    )
    loaded = (load.end_time_unix_nano - load.start_time_unix_nano) / 1e9
    assert loaded < since_start < READY_WITHIN_S + TOLD_WITHIN_S
