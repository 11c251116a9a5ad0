"""Keeps the last spans for the summary's trace tree: a limited number, and few attributes of each."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from opentelemetry.semconv.attributes.http_attributes import HTTP_REQUEST_METHOD, HTTP_RESPONSE_STATUS_CODE
from opentelemetry.trace import StatusCode

from otel_genai.semconv import gen_ai, general

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.util.types import AnyValue

    from otel_genai.recording.analysis.trace_tree import SpanRecord

_KEPT_SPANS: Final = 1000

_SHOWN: Final = (
    (HTTP_REQUEST_METHOD, ""),
    (HTTP_RESPONSE_STATUS_CODE, "status"),
    (general.SERVER_ADDRESS, "server"),
    (gen_ai.RESPONSE_TIME_TO_FIRST_CHUNK, "first chunk"),
    (gen_ai.USAGE_INPUT_TOKENS, "in"),
    (gen_ai.USAGE_OUTPUT_TOKENS, "out"),
    (gen_ai.RESPONSE_FINISH_REASONS, "finish"),
    (general.ERROR_TYPE, "error"),
)
"""Attribute → its label. No other attribute is shown, so neither content nor secrets are."""


class LastSpans:
    """The spans that ended last, oldest first."""

    def __init__(self) -> None:
        self._records: deque[SpanRecord] = deque(maxlen=_KEPT_SPANS)

    def add(self, span: ReadableSpan) -> None:
        """Keep the values that the tree shows. Appending to a bounded deque is atomic, so there is no lock."""
        # Late, because the module makes dataclasses, which takes milliseconds that a program without spans does not need.
        from otel_genai.recording.analysis.trace_tree import SpanRecord

        context = span.get_span_context()
        if context is None or span.start_time is None or span.end_time is None:
            return
        attributes = span.attributes or {}
        self._records.append(
            SpanRecord(
                trace_id=context.trace_id,
                span_id=context.span_id,
                parent_id=span.parent.span_id if span.parent else None,
                name=span.name,
                kind=span.kind.name.lower(),
                began_ns=span.start_time,
                ended_ns=span.end_time,
                failed=span.status.status_code is StatusCode.ERROR,
                notes=tuple((label, _plain(attributes[key])) for key, label in _SHOWN if key in attributes),
            )
        )

    def records(self) -> list[SpanRecord]:
        """Return the kept spans."""
        return list(self._records)


def _plain(value: AnyValue) -> str | float:
    """Return a number, or a text: sequences are joined."""
    if isinstance(value, str | int | float):
        return value
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
