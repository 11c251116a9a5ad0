"""A recording has the values of the spans and the times of every chunk."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import otel_genai
from otel_genai.recording.recorder import Recorder
from tests.support.openai.clients import CAPTURE, USER, client
from tests.support.openai.scripted_server import HELLO, Answer, completion, scripted
from tests.support.providers import attribute
from tests.support.recording.files import lines, operations
from tests.support.recording.programs import CALLING, FILE, PATIENCE_S

if TYPE_CHECKING:
    from tests.support.providers import Recorded


def test_a_stream_is_recorded_with_the_numbers_of_its_span(run: Path, instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        with instrumented.tracer_provider.get_tracer("app").start_as_current_span("work"):
            received = list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True, seed=3))
        port = int(server.url.rpartition(":")[2].partition("/")[0])
    span, outer = instrumented.spans(2)
    (line,) = operations(run)
    assert outer.context is not None
    assert span.context is not None
    assert span.start_time is not None
    assert span.end_time is not None
    times = {name: line.pop(name) for name in ("duration_us", "first_token_us", "asked_us", "chunks_us", "started_ns")}
    assert line == {
        "type": "operation",
        "trace_id": f"{outer.context.trace_id:032x}",
        "span_id": f"{span.context.span_id:016x}",
        "parent_span_id": f"{outer.context.span_id:016x}",
        "began_ns": span.start_time,
        "request": {
            "operation": "chat",
            "provider": "openai",
            "model": "gpt-4o",
            "api": "chat_completions",
            "server_address": "127.0.0.1",
            "server_port": port,
            "stream": True,
            "seed": 3,
        },
        "response": {
            "id": "chatcmpl-1",
            "model": "gpt-4o-2024-08-06",
            "finish_reasons": ["stop"],
            "service_tier": "default",
            "system_fingerprint": "fp_1",
        },
        "usage": {"input": 9, "output": 3},
    }
    microsecond = 1e-6
    assert times["duration_us"] * 1000 == pytest.approx(span.end_time - span.start_time, abs=1000)
    first_chunk, first_token = (
        attribute(span, name)
        for name in ("gen_ai.response.time_to_first_chunk", "otel_genai.response.time_to_first_token")
    )
    assert times["chunks_us"][0] * microsecond == pytest.approx(first_chunk, abs=microsecond)
    assert times["first_token_us"] * microsecond == pytest.approx(first_token, abs=microsecond)
    assert times["first_token_us"] == times["chunks_us"][1]
    assert len(times["chunks_us"]) == len(times["asked_us"]) == len(received) == 5
    gaps = instrumented.metrics()["gen_ai.client.operation.time_per_output_chunk"][0]
    assert (gaps.count, gaps.sum) == (
        4,
        pytest.approx((times["chunks_us"][-1] - times["chunks_us"][0]) * microsecond, abs=microsecond),
    )


def test_every_chunk_has_the_times_of_its_request_and_of_its_arrival(run: Path, instrumented: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    (line,) = operations(run)
    moments = [moment for pair in zip(line["asked_us"], line["chunks_us"], strict=True) for moment in pair]
    assert len(moments) == 10
    assert moments == sorted(moments)
    assert moments[0] > 0
    assert moments[-1] <= line["duration_us"]


def test_an_error_is_recorded_without_its_message(run: Path, instrumented: Recorded) -> None:
    with scripted(Answer({"error": {"message": "secret prompt", "code": "rate_limit"}}, status=429)) as server:
        endpoint = client(server).chat.completions
        with pytest.raises(openai.RateLimitError):
            endpoint.create(model="gpt-4o", messages=USER)
    (line,) = operations(run)
    assert line["error"] == {"type": "openai.RateLimitError", "summary": "RateLimitError 429 rate_limit"}
    assert "secret prompt" not in run.read_text()


def test_a_span_that_is_not_sampled_is_recorded(run: Path, recorded: Recorded) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    otel_genai.instrument(**{**recorded.providers, "tracer_provider": provider})
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    otel_genai.uninstrument()
    (line,) = operations(run)
    assert (len(line["trace_id"]), len(line["span_id"])) == (32, 16)
    assert line["usage"]["output"] == 3


def test_without_an_sdk_there_are_no_ids(run: Path) -> None:
    otel_genai.instrument(tracer_provider=trace.NoOpTracerProvider())
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    otel_genai.uninstrument()
    (line,) = operations(run)
    assert {"trace_id", "span_id", "parent_span_id"} & line.keys() == set()
    assert line["usage"] == {"input": 9, "output": 3, "cache_read": 4, "reasoning": 1}


def test_no_content_is_recorded_by_default(run: Path, instrumented: Recorded) -> None:
    with scripted(Answer(completion()), Answer(events=HELLO)) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
        list(client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    assert len(operations(run)) == 2
    assert not any(words in run.read_text() for words in ("Say hello", "Hel", "content", "sk-secret"))


def test_captured_content_is_recorded_redacted_and_cut_to_length(
    run: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAPTURE, "SPAN_ONLY")
    monkeypatch.setenv("OTEL_GENAI_CONTENT_LENGTH_LIMIT", "6")
    otel_genai.instrument(**recorded.providers, redact=lambda text: text.replace("Say", "***"))
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    otel_genai.uninstrument()
    (line,) = operations(run)
    assert line["content"] == {
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "*** h…"}]}],
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "text", "content": "Hello!"}], "finish_reason": "stop"}
        ],
    }


def test_a_recording_begins_with_the_process_and_the_time(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["app.py", "--api-key", "geheim", "--model=x"])
    otel_genai.instrument()
    otel_genai.uninstrument()
    (header,) = lines(run)
    assert [*header] == ["type", "schema", "wall_ns", "monotonic_ns", "host", "pid", "command", "versions"]
    assert (header["type"], header["schema"]) == ("header", 1)
    assert (header["host"], header["pid"]) == (os.uname().nodename, os.getpid())
    assert header["command"] == ["app.py", "--api-key", "***", "--model=x"]
    assert header["versions"]["otel-genai"] == otel_genai.__version__
    assert header["versions"]["openai"] == openai.__version__
    assert header["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))


def test_the_header_relates_the_two_clocks(run: Path, instrumented: Recorded) -> None:
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    header, line = lines(run)
    by_the_anchor = header["wall_ns"] + line["started_ns"] - header["monotonic_ns"]
    assert by_the_anchor == pytest.approx(line["began_ns"], abs=50_000_000)


def test_without_a_recording_its_modules_are_not_imported() -> None:
    script = (
        "import sys, otel_genai; otel_genai.instrument(); print(*[name for name in sys.modules if 'recording' in name])"
    )
    environment = {name: value for name, value in os.environ.items() if name != FILE}
    assert subprocess.check_output([sys.executable, "-c", script], env=environment, text=True) == "\n"


def test_a_stream_that_outlives_the_instrumentation_is_recorded(run: Path, recorded: Recorded) -> None:
    with scripted(Answer(events=HELLO)) as server:
        otel_genai.instrument(**recorded.providers)
        stream = client(server).chat.completions.create(model="gpt-4o", messages=USER, stream=True)
        otel_genai.uninstrument()
        list(stream)
    (line,) = operations(run)
    assert line["usage"] == {"input": 9, "output": 3}


def test_instrumenting_again_continues_the_recording_or_changes_the_file(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call() -> None:
        otel_genai.instrument()
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
        otel_genai.uninstrument()

    with scripted(Answer(completion())) as server:
        call()
        call()
        monkeypatch.setenv(FILE, str(tmp_path / "other.jsonl"))
        call()
        monkeypatch.delenv(FILE)
        call()
    assert [line["type"] for line in lines(run)] == ["header", "operation", "operation"]
    assert [line["type"] for line in lines(tmp_path / "other.jsonl")] == ["header", "operation"]


def test_a_stopped_recorder_is_garbage_collected(tmp_path: Path) -> None:
    made = Recorder(tmp_path / "run.jsonl", 1_000_000)
    stopped = weakref.ref(made)
    made.stop()
    del made
    gc.collect()
    assert stopped() is None


def test_opentelemetry_instrument_records_as_well(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    (tmp_path / "app.py").write_text(CALLING.replace("otel_genai.instrument()", "") + "call()")
    with scripted(Answer(completion())) as server:
        done = subprocess.run(
            [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable, tmp_path / "app.py", server.url],
            env=os.environ | {FILE: str(run)} | dict.fromkeys(
                ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"), "none"
            ),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert [line["type"] for line in lines(run)] == ["header", "operation"]
