"""docs/recording.md describes every key, and its examples run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_genai.content import Prompt
from otel_genai.operation import Failure, Operation, Phase, Request, Response, Timing, Usage
from otel_genai.recording.file import encode as written
from otel_genai.recording.file.decode import read_recordings
from tests.support.recording.files import HEADER, saved

PAGE = (Path(__file__).parents[2] / "docs" / "recording.md").read_text(encoding="utf-8")


def test_every_key_of_a_line_is_documented() -> None:
    whole = Operation(
        request=Request(operation="chat", provider="toy"),
        response=Response(id="1", usage=Usage(input=1), extra={"otel_genai.bytes": 7}),
        timing=Timing(
            began_ns=1,
            started=0.0,
            ended=2.0,
            chunks=[1.0],
            waits=[0.0],
            tokens=[1],
            phases=(Phase("queue", 0.0, 0.25), Phase("decode", 0.5, 1.0), Phase("decode", 1.5, 2.0)),
            first_token=1.0,
        ),
        prompt=Prompt(),
        failure=Failure("ValueError", "ValueError", "words"),
        unfinished=True,
    )
    line = json.loads(
        written.operation(whole, TracerProvider(shutdown_on_exit=False).get_tracer("toy").start_span("x"))
    )
    assert line["phases_us"] == {"queue": 250_000, "decode": 1_000_000}
    keys = {*HEADER, *line, *line["error"], "parent_span_id", "limit_bytes", "left_out"} - {"type"}
    parts = {*Request._fields, *Response._fields, *Usage._fields, "facts"} - {"usage", "messages", "extra"}
    assert len(line) == 17
    assert line["response"] == {"id": "1", "facts": {"otel_genai.bytes": 7}}
    assert [key for key in sorted(keys | parts) if f"`{key}`" not in PAGE] == []


def test_the_examples_can_be_read_and_run(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
    reader, program, _ = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    run = saved(tmp_path / "run.jsonl", *(f"{line}\n".encode() for line in example.replace("\n ", "").splitlines()))
    (one,) = read_recordings([run]).operations
    assert (one.model, one.first_token, len(one.chunks)) == ("sim-small", 0.038761, 9)
    printed = subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, text=True)
    assert printed == "38761 [249, 162, 134, 1080, 3200, 199, 279, 642]\n"
    printed = subprocess.check_output([sys.executable, "-c", reader], cwd=tmp_path, text=True)
    model, duration, first_token, gap = printed.split()
    assert (model, duration, first_token) == ("sim-small", "0.044839", "0.038761")
    assert float(gap) == pytest.approx(0.0032)
