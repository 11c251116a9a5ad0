"""Every adapter function that can raise, raising, for every row of the table: the application does not notice."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.trace import StatusCode

import otel_genai
from otel_genai.endpoint.rows import CallRow, RequestHeadersRow, ResponseHeadersRow
from otel_genai.instrumentors.openai.instrumentor import OpenAIInstrumentor
from tests.support.openai.faults import (
    CALL_ROWS,
    ROWS,
    STREAMING_ROWS,
    BrokenAdd,
    BrokenResponse,
    Calls,
    assert_one_warning_each,
    broken,
    call_and_stream,
    row_name,
)
from tests.support.providers import Recorded, attribute

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = [pytest.mark.usefixtures("_lenient"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def test_the_rows_that_are_tested_are_the_table() -> None:
    # Another test is about methods that an older client lacks.
    missing = [row for row in CALL_ROWS if row not in ROWS and not row.optional]
    assert [row_name(row) for row in missing if row.module in sys.modules] == []
    assert len(STREAMING_ROWS) >= 4


WHOLE = [
    ("request", "a span lacks its request's attributes"),
    ("prompt", "a span lacks its prompt"),
    ("response", "a span lacks its response's attributes"),
    ("unparsed", "a stream is reported without its chunks"),
]
PIECES = [
    ("fold", broken, "a span lacks its response's attributes"),
    ("fold", BrokenAdd, "a span lacks part of a streamed response"),
    ("fold", BrokenResponse, "a span lacks its response's attributes"),
    ("request", broken, "a span lacks its request's attributes"),
]


@pytest.mark.parametrize("row", ROWS, ids=row_name)
@pytest.mark.parametrize("fault", WHOLE, ids=[function for function, _ in WHOLE])
def test_a_call_with_a_bug_in_its_adapter(
    recorded: Recorded,
    instrument_with: Callable[..., Calls],
    caplog: pytest.LogCaptureFixture,
    row: CallRow,
    fault: tuple[str, str],
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    function, what = fault
    undisturbed = Calls().result(row)
    calls = instrument_with(**{function: broken})
    assert [calls.result(row), calls.result(row)] == [undisturbed] * 2
    spans = recorded.spans(2)
    assert [attribute(span, "gen_ai.operation.name") for span in spans] == [row.resolve().default.operation] * 2
    assert {span.status.status_code for span in spans} == {StatusCode.UNSET}
    assert_one_warning_each(caplog, what)


@pytest.mark.parametrize("row", STREAMING_ROWS, ids=row_name)
@pytest.mark.parametrize("fault", PIECES, ids=["fold", "add", "fold.response", "request"])
def test_a_stream_with_a_bug_in_its_adapter(
    recorded: Recorded,
    instrument_with: Callable[..., Calls],
    caplog: pytest.LogCaptureFixture,
    row: CallRow,
    fault: tuple[str, Any, str],
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    function, bug, what = fault
    undisturbed = Calls().result(row, stream=True)
    calls = instrument_with(**{function: bug})
    assert [calls.result(row, stream=True), calls.result(row, stream=True)] == [undisturbed] * 2
    assert [span.status.status_code for span in recorded.spans(2)] == [StatusCode.UNSET] * 2
    assert_one_warning_each(caplog, what)


@pytest.mark.parametrize("row", ROWS, ids=row_name)
def test_an_error_with_a_bug_in_its_adapter(
    recorded: Recorded, instrument_with: Callable[..., Calls], caplog: pytest.LogCaptureFixture, row: CallRow
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    calls = instrument_with(failure=broken)
    calls.failing = True
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            calls.result(row)
    assert [attribute(span, "error.type") for span in recorded.spans(2)] == ["openai.InternalServerError"] * 2
    assert_one_warning_each(caplog, "an error is reported by its class alone")


UNREADABLE: Any = type("Unreadable", (), {"__hash__": broken})()
"""A keyword whose look-up raises."""


@pytest.mark.parametrize(
    ("with_bug", "what"),
    [
        (
            lambda row: row._replace(headers=broken) if isinstance(row, RequestHeadersRow) else row,
            "a request does not carry the trace context",
        ),
        (
            lambda row: row._replace(response=UNREADABLE) if isinstance(row, ResponseHeadersRow) else row,
            "the model is reported as the response's body has it",
        ),
    ],
    ids=["RequestHeadersRow", "ResponseHeadersRow"],
)
def test_a_request_with_a_bug_in_its_headers_or_model(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    with_bug: Callable[[Any], Any],
    what: str,
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    monkeypatch.setattr(OpenAIInstrumentor, "rows", tuple(map(with_bug, OpenAIInstrumentor.rows)))
    otel_genai.instrument(**recorded.providers)
    call_and_stream()
    otel_genai.uninstrument()
    assert len(recorded.spans(2)) == 2
    assert_one_warning_each(caplog, what)
