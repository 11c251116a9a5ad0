"""A line of a recording is JSON with the operation's values, and with no key for an unknown one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opentelemetry import trace

from otel_genai.content import Message, Prompt, Text, Tool
from otel_genai.operation import Failure, Operation, Request, Response, Side, Timing, Usage
from otel_genai.recording.file import encode as written
from tests.support.recording.files import operation
from tests.support.recording.programs import NO_SPAN


def test_an_operation_is_one_line_of_json_with_times_in_microseconds_from_its_start() -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(0xA1, 0xB2, is_remote=False))
    finished = Operation(
        request=Request(operation="chat", provider="vllm", side=Side.SERVER, stop_sequences=("\n", "—")),
        response=Response(
            finish_reasons=("length",),
            usage=Usage(input=0, output=5, input_by_modality={"image": 2}),
        ),
        timing=Timing(
            began_ns=1_700_000_000_000_000_001,
            started=50.25,
            ended=51.0,
            chunks=[50.4, 50.7500006],
            waits=[0.0000004, 0.1],
            tokens=[1, 4],
            first_token=50.4,
        ),
        unfinished=True,
    )
    assert written.operation(finished, span).decode() == (
        '{"type":"operation",'
        '"trace_id":"000000000000000000000000000000a1","span_id":"00000000000000b2",'
        '"began_ns":1700000000000000001,"started_ns":50250000000,"duration_us":750000,'
        '"request":{"operation":"chat","provider":"vllm","stop_sequences":["\\n","—"],"side":"server"},'
        '"unfinished":true,'
        '"response":{"finish_reasons":["length"]},'
        '"usage":{"input":0,"output":5,"input_by_modality":{"image":2}},'
        '"first_token_us":150000,"asked_us":[0,250000],"chunks_us":[150000,500001],"tokens":[1,4]}\n'
    )


def test_an_unknown_value_has_no_key() -> None:
    little = Operation(
        request=Request(operation="chat", provider="openai"), timing=Timing(began_ns=5, started=1.0, ended=2.0)
    )
    assert written.operation(little, NO_SPAN).decode() == (
        '{"type":"operation","began_ns":5,"started_ns":1000000000,"duration_us":1000000,'
        '"request":{"operation":"chat","provider":"openai"}}\n'
    )


def test_a_value_that_json_lacks_is_recorded_as_text() -> None:
    odd: Any = Path("model")
    line = written.operation(operation(model=odd), NO_SPAN) + written.operation(operation(model="\ud800"), NO_SPAN)
    assert line.count(b'"model":"model"') == 2
    assert line.count(b'"model":"?"') == 2


def test_the_message_of_an_error_is_content() -> None:
    failed = Operation(
        request=Request(operation="chat", provider="openai"),
        timing=Timing(began_ns=5, started=1.0, ended=2.0),
        prompt=Prompt(messages=(Message("user", (Text("Hi"),)),), tools=(Tool("clock"),)),
        failure=Failure("ValueError", "ValueError", "no such thing as Hi", "a stack trace"),
    )
    assert written.operation(failed, NO_SPAN).endswith(
        b'"error":{"type":"ValueError","summary":"ValueError","message":"no such thing as Hi"},'
        b'"content":{"gen_ai.input.messages":[{"role":"user","parts":[{"type":"text","content":"Hi"}]}],'
        b'"gen_ai.tool.definitions":[{"type":"function","name":"clock"}]}}\n'
    )
