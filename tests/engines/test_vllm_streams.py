"""Streams of a real `AsyncLLM` in this process: parents, concurrency, and early ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace

from tests.support.openai.clients import attributes
from tests.support.vllm.in_process import PHASES, PROMPT, phases, sampling

if TYPE_CHECKING:
    from tests.support.providers import Recorded

# vLLM and torch warn at import. An engine belongs to the event loop of its first use: one loop for the session.
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore"), pytest.mark.asyncio(loop_scope="session")]


def streamed(**settings: Any) -> Any:
    from vllm.sampling_params import RequestOutputKind

    return sampling(output_kind=RequestOutputKind.DELTA, **settings)


async def consume(engine: Any, request_id: str, prompt: str = PROMPT, **settings: Any) -> list[Any]:
    return [output async for output in engine.generate(prompt, streamed(**settings), request_id)]


async def test_a_stream_is_a_child_of_the_callers_span(async_llm: Any, instrumented: Recorded) -> None:
    with instrumented.tracer_provider.get_tracer("app").start_as_current_span("app") as current:
        outputs = await consume(async_llm, "cmpl-a-0")
        assert trace.get_current_span() is current
    request, app = instrumented.spans(2)
    assert request.parent == app.context
    reported = attributes(request)
    assert reported["gen_ai.response.id"] == "cmpl-a"
    assert reported["gen_ai.request.stream"] is True
    assert reported["gen_ai.usage.output_tokens"] == sum(len(output.outputs[0].token_ids) for output in outputs) == 5
    assert phases(request).keys() - {"preprocess"} == set(PHASES)


async def test_the_requests_span_is_not_current_in_the_loop_body(async_llm: Any, instrumented: Recorded) -> None:
    async for _ in async_llm.generate(PROMPT, streamed(), "outside"):
        assert not trace.get_current_span().get_span_context().is_valid
    instrumented.span()


async def test_fifty_concurrent_streams_are_fifty_requests(async_llm: Any, instrumented: Recorded) -> None:
    await asyncio.gather(
        *(
            consume(
                async_llm, f"r{number}", max_tokens=number % 7 + 2, n=number % 2 + 1, temperature=1.0, ignore_eos=True
            )
            for number in range(50)
        )
    )
    reported = [attributes(span) for span in instrumented.spans(50)]
    assert {(one["gen_ai.response.id"], one["gen_ai.usage.output_tokens"]) for one in reported} == {
        (f"r{number}", (number % 7 + 2) * (number % 2 + 1)) for number in range(50)
    }


async def test_a_stream_closed_early_is_aborted(async_llm: Any, instrumented: Recorded) -> None:
    stream = async_llm.generate(PROMPT, streamed(max_tokens=100), "left")
    await anext(stream)
    await stream.aclose()
    span = instrumented.span()
    assert span.status.is_unset
    assert attributes(span)["gen_ai.response.finish_reasons"] == ("abort",)


async def test_a_stream_whose_task_is_cancelled_is_aborted(async_llm: Any, instrumented: Recorded) -> None:
    started = asyncio.Event()

    async def read() -> None:
        async for _ in async_llm.generate(PROMPT, streamed(max_tokens=400), "cancelled"):
            started.set()

    task = asyncio.create_task(read())
    await started.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    span = instrumented.span()
    assert span.status.is_unset
    assert attributes(span)["gen_ai.response.finish_reasons"] == ("abort",)


async def test_trace_headers_are_the_parent_without_a_current_span(async_llm: Any, instrumented: Recorded) -> None:
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    headers = {"traceparent": f"00-{trace_id}-{span_id}-01"}
    async for _ in async_llm.generate(PROMPT, streamed(), "served", trace_headers=headers):
        pass
    span = instrumented.span()
    assert span.kind is trace.SpanKind.SERVER
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == trace_id
    assert f"{span.parent.span_id:016x}" == span_id


async def test_a_request_that_the_asynchronous_engine_refuses_is_an_error(
    async_llm: Any, instrumented: Recorded
) -> None:
    with pytest.raises(Exception, match=r"max_model_len|maximum context|longer than"):
        await consume(async_llm, "refused", PROMPT * 200)
    span = instrumented.span()
    assert attributes(span)["error.type"] == "vllm.exceptions.VLLMValidationError"


async def test_a_dead_engine_fails_its_requests(async_llm: Any, instrumented: Recorded) -> None:
    from vllm.v1.engine.exceptions import EngineDeadError

    # Only the output handler dies here. The engine goes on, and starts a new handler with the next request.
    streams = [async_llm.generate(PROMPT, streamed(max_tokens=400), f"last{number}") for number in range(2)]
    await asyncio.gather(*map(anext, streams))
    async_llm.engine_core.error = EngineDeadError()
    for stream in streams:
        with pytest.raises(EngineDeadError):
            async for _ in stream:
                pass
    for span in instrumented.spans(2):
        assert attributes(span)["error.type"] == "vllm.v1.engine.exceptions.EngineDeadError"
        assert not span.status.is_unset
    async_llm.output_handler = None
    async_llm.output_processor.abort_requests([*async_llm.output_processor.request_states], True)
