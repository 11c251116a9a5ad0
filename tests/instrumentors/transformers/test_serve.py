"""`transformers serve` under `otel-genai run`, and an OpenAI client: one trace over both processes."""

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
    reason="this version of transformers has another server, or none",
)

READY_WITHIN_S = 120.0  # 5 on an idle machine with two cores
EXPORTED_WITHIN_S = 20.0
TRANSFORMERS = str(Path(sys.executable).with_name("transformers"))
QUESTION: list[Any] = [{"role": "user", "content": "Tell me something about the sea."}]


class Serving(NamedTuple):
    model: str
    url: str
    port: int
    received: Received


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Serving]:
    """A server of the model in `folder`, under `otel-genai run`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with receiver() as received, (folder / "server.log").open("w+") as log:
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
                "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_BSP_SCHEDULE_DELAY": "50",
                "OTEL_BLRP_SCHEDULE_DELAY": "50",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            await_health(port, process, log)
            yield Serving(str(folder), f"http://127.0.0.1:{port}/v1", port, received)
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


def value(field: Any) -> Any:
    kind = field.WhichOneof("value")
    return tuple(map(value, field.array_value.values)) if kind == "array_value" else getattr(field, kind)


def exported(server: Serving, trace_id: int, operation: str, count: int = 1) -> list[Span]:
    """The server's spans of an operation in a trace, once there are `count`."""

    def found() -> list[Span]:
        return [
            span
            for span in server.received.spans
            if int.from_bytes(span.trace_id) == trace_id and attributes(span).get("gen_ai.operation.name") == operation
        ]

    server.received.wait_for(lambda: len(found()) >= count, patience=EXPORTED_WITHIN_S)
    spans = found()
    assert len(spans) == count, [span.name for span in server.received.spans]
    return spans


def is_descendant(server: Serving, span: Span, ancestor: int) -> bool:
    """Whether `ancestor` is above a span of the server, directly or through spans of its web framework."""

    def found() -> bool:
        parents = {each.span_id: each.parent_span_id for each in server.received.spans}
        parent = span.parent_span_id
        while parent in parents:
            parent = parents[parent]
        return int.from_bytes(parent) == ancestor

    return server.received.wait_for(found, patience=EXPORTED_WITHIN_S)


def caller(recorded: Recorded) -> Any:
    """The context of the client's one span."""
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


def test_client_and_server_are_one_trace(any_server: Serving, instrumented: Recorded) -> None:
    answer = client(any_server.url).chat.completions.create(model=any_server.model, messages=QUESTION, max_tokens=5)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5
    call = caller(instrumented)
    (served,) = exported(any_server, call.trace_id, "chat")
    assert is_descendant(any_server, served, call.span_id)
    assert (served.name, served.kind) == ("chat tiny-llama", Span.SPAN_KIND_SERVER)
    assert without_times(served) == SERVED


def test_a_stream_is_one_trace_with_times_of_both_sides(any_server: Serving, instrumented: Recorded) -> None:
    stream = client(any_server.url).chat.completions.create(
        model=any_server.model, messages=QUESTION, max_tokens=5, stream=True
    )
    assert list(stream)[-1].choices[0].finish_reason == "length"
    call = instrumented.span()
    assert call.context is not None
    (served,) = exported(any_server, call.context.trace_id, "chat")
    assert is_descendant(any_server, served, call.context.span_id)
    assert without_times(served) == SERVED | {"gen_ai.request.stream": True}
    first = attributes(served)["otel_genai.response.time_to_first_token"]
    # The server's time is part of the client's.
    assert 0 < first < call.attributes["otel_genai.response.time_to_first_token"]  # type: ignore[index]
    assert call.start_time is not None
    assert call.start_time < served.start_time_unix_nano


def test_batching_reports_the_time_in_the_queue(batching_server: Serving, instrumented: Recorded) -> None:
    stream = client(batching_server.url).chat.completions.create(
        model=batching_server.model, messages=QUESTION, max_tokens=5, stream=True
    )
    list(stream)
    (served,) = exported(batching_server, caller(instrumented).trace_id, "chat")
    phases = [attributes(served)[f"otel_genai.phase.{name}"] for name in ("queue", "prefill", "decode")]
    assert sum(phases) == pytest.approx((served.end_time_unix_nano - served.start_time_unix_nano) / 1e9, rel=1e-6)


def test_completions_and_responses_have_their_operation_names(server: Serving, instrumented: Recorded) -> None:
    client(server.url).completions.create(model=server.model, prompt="The sea", max_tokens=5)
    client(server.url).responses.create(model=server.model, input="The sea?", max_output_tokens=5)
    completion, response = instrumented.spans(2)
    assert completion.context is not None
    assert response.context is not None
    (served,) = exported(server, completion.context.trace_id, "text_completion")
    assert served.kind == Span.SPAN_KIND_SERVER
    (served,) = exported(server, response.context.trace_id, "chat")
    assert served.kind == Span.SPAN_KIND_SERVER


def test_a_refused_request_is_a_span_of_the_server(server: Serving, instrumented: Recorded) -> None:
    with pytest.raises(APIStatusError) as refused:
        client(server.url).chat.completions.create(
            model=server.model, messages=QUESTION, extra_body={"no_such_field": 1}
        )
    call = caller(instrumented)
    (served,) = exported(server, call.trace_id, "chat")
    assert is_descendant(server, served, call.span_id)
    assert served.kind == Span.SPAN_KIND_SERVER
    assert attributes(served)["error.type"] == str(refused.value.status_code) == "422"


def test_a_request_without_a_trace_begins_one(server: Serving) -> None:
    before = len(chats(server))
    client(server.url).chat.completions.create(model=server.model, messages=QUESTION, max_tokens=5)
    server.received.wait_for(lambda: len(chats(server)) > before, patience=EXPORTED_WITHIN_S)
    served = chats(server)[-1]
    assert served.kind == Span.SPAN_KIND_SERVER
    assert is_descendant(server, served, 0)


def chats(server: Serving) -> list[Span]:
    return [span for span in server.received.spans if span.name.startswith("chat ")]


def test_a_disconnected_client_is_no_error_of_the_server(any_server: Serving, instrumented: Recorded) -> None:
    stream = client(any_server.url).chat.completions.create(
        model=any_server.model, messages=QUESTION, max_tokens=450, stream=True
    )
    next(chunk for chunk in stream if chunk.choices[0].delta.content)
    stream.close()
    (served,) = exported(any_server, caller(instrumented).trace_id, "chat")
    assert served.status.code == 0
    assert "error.type" not in attributes(served)
    assert attributes(served)["gen_ai.response.finish_reasons"] == ("error",)
    assert attributes(served)["gen_ai.usage.output_tokens"] < 450


def test_a_server_reports_its_loading_and_its_first_generation(server: Serving, instrumented: Recorded) -> None:
    client(server.url).chat.completions.create(model=server.model, messages=QUESTION, max_tokens=5)
    caller(instrumented)
    (load,) = [span for span in server.received.spans if span.name == "load_model tiny-llama"]
    assert load.parent_span_id == b""
    assert {span.name for span in server.received.spans if span.parent_span_id == load.span_id} == {
        "resolve",
        "read_weights",
        "finish_weights",
    }
    server.received.wait_for(lambda: bool(server.received.logs), patience=EXPORTED_WITHIN_S)
    (first,) = [record for record in server.received.logs if record.event_name == "otel_genai.first_generation"]
    since_start = next(
        pair.value.double_value for pair in first.attributes if pair.key == "otel_genai.since_process_start"
    )
    loaded = (load.end_time_unix_nano - load.start_time_unix_nano) / 1e9
    assert loaded < since_start < READY_WITHIN_S + EXPORTED_WITHIN_S
