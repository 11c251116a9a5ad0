"""Switching the instrumentation of the client on and off."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import pytest
from opentelemetry import trace

import otel_genai
from otel_genai.instrumentors.openai.instrumentor import OpenAIInstrumentor
from tests.support.openai.clients import (
    USER,
    async_client,
    client,
)
from tests.support.openai.scripted_server import Answer, completion, scripted

if TYPE_CHECKING:
    from tests.support.providers import Recorded


def test_instrument_uninstrument_instrument(recorded: Recorded) -> None:
    before = vars(openai.resources.chat.completions.Completions)["create"]
    with scripted(Answer(completion())) as server:
        older = client(server)  # made before instrument() and used throughout
        for _ in range(2):
            otel_genai.instrument(**recorded.providers)
            otel_genai.instrument(**recorded.providers)
            older.chat.completions.create(model="gpt-4o", messages=USER)
            otel_genai.uninstrument()
            otel_genai.uninstrument()
            older.chat.completions.create(model="gpt-4o", messages=USER)
    assert len(recorded.spans(2)) == 2
    assert vars(openai.resources.chat.completions.Completions)["create"] is before


def test_one_instrumentor_alone(recorded: Recorded) -> None:
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(**recorded.providers)
    with scripted(Answer(completion())) as server:
        client(server).chat.completions.create(model="gpt-4o", messages=USER)
    instrumentor.uninstrument()
    assert len(recorded.spans(1)) == 1


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^instrument\(\) does not know tracer; it takes tracer_provider, meter_provider, "
    ):
        otel_genai.instrument(tracer=trace.get_tracer("x"))
    assert not OpenAIInstrumentor().is_instrumented_by_opentelemetry


def test_a_version_that_is_not_supported_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(OpenAIInstrumentor, "requires", ("openai >= 1000",))
    otel_genai.instrument()
    assert not OpenAIInstrumentor().is_instrumented_by_opentelemetry
    (record,) = caplog.records
    assert (record.levelno, record.getMessage().partition(":")[0]) == (logging.WARNING, "OpenAIInstrumentor is off")


def test_a_library_that_is_not_installed_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(OpenAIInstrumentor, "requires", ("no-such-library >= 1",))
    otel_genai.instrument()
    assert caplog.records == []


def test_instrumented_methods_keep_name_and_signature(instrumented: Recorded) -> None:
    import inspect

    create = openai.resources.chat.completions.AsyncCompletions.create
    assert not inspect.iscoroutinefunction(create)
    assert "messages" in inspect.signature(create).parameters
    assert create.__name__ == "create"


def test_opentelemetry_instrument_finds_the_instrumentor(model_server: str) -> None:
    script = (
        "import openai; openai.OpenAI().chat.completions.create("
        "model='sim-small', messages=[{'role': 'user', 'content': 'hi'}])"
    )
    done = subprocess.run(
        [Path(sys.executable).parent / "opentelemetry-instrument", sys.executable, "-c", script],
        env={
            "PATH": "/usr/bin:/bin",
            "OPENAI_BASE_URL": model_server,
            "OPENAI_API_KEY": "sk-secret",
            "OTEL_PYTHON_CONFIGURATOR": "none",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


async def test_fifty_streams_at_once_leave_the_context_as_it_was(instrumented: Recorded, model_server: str) -> None:
    tracer = instrumented.tracer_provider.get_tracer("app")

    async with async_client(model_server) as asynchronous:

        async def request(number: int) -> None:
            with tracer.start_as_current_span(f"request {number}") as parent:
                stream = await asynchronous.chat.completions.create(
                    model="sim-small", messages=USER, stream=True, max_tokens=5, user=str(number)
                )
                async for _ in stream:
                    assert trace.get_current_span() is parent
                assert trace.get_current_span() is parent

        await asyncio.gather(*map(request, range(50)))
    spans = instrumented.spans(100)
    roots = {span.context.span_id for span in spans if span.parent is None}
    children = [span.parent.span_id for span in spans if span.parent is not None]
    assert (len(roots), sorted(children)) == (50, sorted(roots))
