"""Streamers: the application's own is unchanged, and every token put to it has its time."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from transformers import AsyncTextIteratorStreamer, TextIteratorStreamer, TextStreamer

from tests.support.openai.clients import attributes
from tests.support.openai.expected_content import answered, content, said
from tests.support.providers import PATIENCE_S, Recorded, attribute
from tests.support.transformer_models import (
    HELLO,
    HELLO_TOKENS,
    LIMITED,
    SEA,
    encoded,
    inputs,
    make,
    model,
    output,
    tokenizer,
)

if TYPE_CHECKING:
    from otel_genai.operation import Operation

STREAMED = LIMITED | {"gen_ai.request.stream": True}
"""The attributes of a call with `HELLO` and a streamer that ends at its limit of four tokens."""


class Sink:
    """A streamer with `put` and `end` alone: no class of the library, no weak references."""

    __slots__ = ("ends", "puts")

    def __init__(self) -> None:
        self.puts: list[list[Any]] = []
        self.ends = 0

    def put(self, value: Any) -> None:
        assert type(value) is torch.Tensor
        self.puts.append(value.tolist())

    def end(self) -> None:
        self.ends += 1


class Failing(Sink):
    """A streamer that raises at the third token."""

    __slots__ = ()

    def put(self, value: Any) -> None:
        if len(self.puts) == 3:
            raise LookupError("the third token is refused")
        super().put(value)


# ── the streamer is the application's ──────────────────────────────────────────────────────────────────────────────────


def test_text_is_printed_as_without_instrumentation(instrumented: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    streamer = TextStreamer(tokenizer())
    before = dict(vars(streamer))
    ids = model("llama").generate(**inputs(streamer=streamer))
    assert capsys.readouterr().out == tokenizer().decode(ids[0]) + "\n"
    assert vars(streamer).keys() == before.keys()
    assert attributes(instrumented.span()) == STREAMED


def test_any_object_with_put_and_end_is_a_streamer(instrumented: Recorded) -> None:
    sink = Sink()
    ids = model("llama").generate(**inputs(streamer=sink)).tolist()[0]
    assert sink.puts == [[ids[:HELLO_TOKENS]], *([token] for token in ids[HELLO_TOKENS:])]
    assert sink.ends == 1
    assert attributes(instrumented.span()) == STREAMED


def test_a_streamer_may_be_passed_by_position(instrumented: Recorded) -> None:
    sink = Sink()
    model("llama").generate(encoded(HELLO)["input_ids"], None, None, None, None, None, None, sink, max_new_tokens=4)
    assert (len(sink.puts), sink.ends) == (1 + 4, 1)
    assert attributes(instrumented.span()) == STREAMED


def test_the_library_gets_an_equivalent_streamer(instrumented: Recorded) -> None:
    class Words(TextStreamer):  # type: ignore[misc]
        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            seen.append(type(self))
            assert self is words

    class Looking(type(model("llama"))):  # type: ignore[misc]
        def _sample(self, *args: Any, streamer: Any = None, **kwargs: Any) -> Any:
            assert isinstance(streamer, Words)
            assert isinstance(streamer, TextStreamer)
            assert streamer.skip_prompt
            assert not hasattr(streamer, "nothing of this name")
            streamer.noted = "by the library"
            return super()._sample(*args, streamer=streamer, **kwargs)

    seen: list[type] = []
    words = Words(tokenizer(), skip_prompt=True)
    looking = make("llama")
    looking.__class__ = Looking
    looking.generate(**inputs(streamer=words))
    assert set(seen) == {Words}
    assert words.noted == "by the library"
    assert attributes(instrumented.span()) == STREAMED


def test_one_streamer_serves_several_calls(instrumented: Recorded) -> None:
    sink = Sink()
    for _ in range(2):
        model("llama").generate(**inputs(streamer=sink))
    assert (len(sink.puts), sink.ends) == (2 * (1 + 4), 2)
    assert [attributes(span) for span in instrumented.spans(2)] == [STREAMED, STREAMED]


# ── threads ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_generation_in_a_bare_thread_is_a_child_of_the_span_where_the_streamer_was_made(instrumented: Recorded) -> None:
    with trace.use_span(instrumented.tracer_provider.get_tracer("app").start_span("app"), end_on_exit=True):
        streamer = TextIteratorStreamer(tokenizer(), skip_prompt=True, timeout=PATIENCE_S)
        thread = threading.Thread(target=model("llama").generate, kwargs=inputs(streamer=streamer))
        thread.start()
        text = "".join(streamer)
        thread.join()
    call, app = instrumented.spans(2)
    assert (call.kind, call.parent) == (SpanKind.INTERNAL, app.context)
    assert attributes(call) == STREAMED
    assert text == tokenizer().decode(output()[0])


async def test_an_asynchronous_streamer(instrumented: Recorded) -> None:
    with trace.use_span(instrumented.tracer_provider.get_tracer("app").start_span("app"), end_on_exit=True):
        streamer = AsyncTextIteratorStreamer(tokenizer(), skip_prompt=True, timeout=PATIENCE_S)
        loop = asyncio.get_running_loop()
        # Unlike `asyncio.to_thread`, this copies no context.
        generating = loop.run_in_executor(None, lambda: model("llama").generate(**inputs(streamer=streamer)))
        text = "".join([piece async for piece in streamer])
        await generating
    call, app = instrumented.spans(2)
    assert call.parent == app.context
    assert attributes(call) == STREAMED
    assert text == tokenizer().decode(output()[0])


def test_in_a_bare_thread_with_an_unknown_streamer_a_call_has_no_parent(instrumented: Recorded) -> None:
    with trace.use_span(instrumented.tracer_provider.get_tracer("app").start_span("app"), end_on_exit=True):
        thread = threading.Thread(target=model("llama").generate, kwargs=inputs(streamer=Sink()))
        thread.start()
        thread.join()
    call, _ = instrumented.spans(2)
    assert call.parent is None
    assert attributes(call) == STREAMED


# ── tokens and their times ─────────────────────────────────────────────────────────────────────────────────────────────


def test_every_token_has_its_time(operations: list[Operation], instrumented: Recorded) -> None:
    model("llama").generate(**inputs(streamer=Sink()))
    (timing,) = [operation.timing for operation in operations]
    assert (len(timing.asked), len(timing.chunks), timing.tokens) == (4, 4, [1, 1, 1, 1])
    assert timing.first_token == timing.chunks[0]
    # A token is asked for once the streamer has taken the previous one; the first, once it has taken the prompt.
    moments = [timing.started]
    for asked_at, came in zip(timing.asked, timing.chunks, strict=True):
        moments += [asked_at, came]
    assert [*moments, timing.ended] == sorted({*moments, timing.ended})
    span = instrumented.span()
    assert attribute(span, "gen_ai.response.time_to_first_chunk") == timing.chunks[0] - timing.started
    assert attribute(span, "otel_genai.response.time_to_first_token") == timing.chunks[0] - timing.started
    assert set(instrumented.metrics()) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
        "gen_ai.server.request.duration",
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_per_output_token",
    }


def test_accepted_tokens_of_an_assistant_have_one_time(operations: list[Operation], instrumented: Recorded) -> None:
    # The assistant is the model itself, so all of its tokens are accepted.
    sink = Sink()
    model("llama").generate(**inputs(max_new_tokens=8, assistant_model=make("llama"), streamer=sink))
    (timing,) = [operation.timing for operation in operations]
    assert list(timing.tokens) == [len(put[0]) if isinstance(put[0], list) else 1 for put in sink.puts[1:]]
    assert sum(timing.tokens) == 8
    assert max(timing.tokens) > 1
    assert attribute(instrumented.span(), "gen_ai.usage.output_tokens") == 8


def test_tokens_of_ended_sequences_are_not_counted(operations: list[Operation], instrumented: Recorded) -> None:
    end = output(HELLO, SEA)[0][1]
    sink = Sink()
    model("llama").generate(**inputs(HELLO, SEA, eos_token_id=end, streamer=sink))
    assert [len(put) for put in sink.puts] == [2, 2, 2, 2, 2]
    assert [operation.timing.tokens for operation in operations] == [[2, 2, 1, 1]]
    span = instrumented.span()
    assert attribute(span, "gen_ai.usage.output_tokens") == 2 + 4
    assert attribute(span, "gen_ai.response.finish_reasons") == ("stop", "length")


# ── how streams end ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_exception_of_the_streamer_ends_the_call_with_its_tokens(instrumented: Recorded) -> None:
    failing = Failing()
    with pytest.raises(LookupError, match=r"^the third token is refused$"):
        model("llama").generate(**inputs(streamer=failing))
    assert failing.ends == 0
    assert attributes(instrumented.span()) == STREAMED | {
        "error.type": "LookupError",
        "gen_ai.response.finish_reasons": ("error",),
        "gen_ai.usage.output_tokens": 3,
    }


def test_the_librarys_refusal_to_stream_beams_is_reported(instrumented: Recorded) -> None:
    with pytest.raises(ValueError, match="beam search"):
        model("llama").generate(**inputs(num_beams=2, streamer=Sink()))
    assert attributes(instrumented.span()) == {
        name: value for name, value in STREAMED.items() if not name.startswith(("gen_ai.response", "gen_ai.usage"))
    } | {"error.type": "ValueError"}


def test_the_call_ends_when_it_returns_however_often_end_is_called(instrumented: Recorded) -> None:
    class Impatient(Sink):
        __slots__ = ()

        def put(self, value: Any) -> None:
            super().put(value)
            self.end()

    impatient = Impatient()
    model("llama").generate(**inputs(streamer=impatient))
    assert impatient.ends == 5 + 1
    assert attributes(instrumented.span()) == STREAMED


def test_an_exception_of_the_streamers_end_fails_the_call(instrumented: Recorded) -> None:
    class Endless(Sink):
        __slots__ = ()

        def end(self) -> None:
            raise LookupError("no end")

    with pytest.raises(LookupError):
        model("llama").generate(**inputs(streamer=Endless()))
    assert attributes(instrumented.span()) == STREAMED | {
        "error.type": "LookupError",
        "gen_ai.response.finish_reasons": ("error",),
    }


# ── content ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_content_is_decoded_with_the_streamers_tokenizer(capturing: Recorded) -> None:
    chat = tokenizer().apply_chat_template(
        [{"role": "user", "content": "One, two?"}], add_generation_prompt=True, tokenize=False
    )
    streamer = TextStreamer(tokenizer(), skip_prompt=True)
    ids = model("llama").generate(**inputs(chat, streamer=streamer))
    prompt = encoded(chat)["input_ids"].shape[1]
    span = capturing.span()
    assert content(span, "input.messages") == [said("user", chat)]
    text = tokenizer().decode(ids[0, prompt:])
    assert content(span, "output.messages") == answered(text, finish_reason="length")


def test_tokens_before_a_failure_are_content(capturing: Recorded) -> None:
    text = tokenizer().decode(output()[0][:3])
    with pytest.raises(LookupError):
        model("llama").generate(**inputs(streamer=Failing()), tokenizer=tokenizer())
    assert content(capturing.span(), "output.messages") == answered(text, finish_reason="error")
