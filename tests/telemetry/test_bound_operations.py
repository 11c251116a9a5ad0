"""Bound histograms of operations: values of a call go straight to the SDK's aggregations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context

from otel_genai.config import Config
from otel_genai.operation import Operation, Request, Response, Side, Timing, Usage
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.bound_histograms import (
    AT_NS,
)

if TYPE_CHECKING:
    import pytest

    from tests.support.providers import Recorded


DURATION = "gen_ai.client.operation.duration"
PER_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
TOKENS = "gen_ai.client.token.usage"


def stream(model: str = "m", chunks: int = 1001, **response: Any) -> Operation:
    """A streamed operation of one second for each chunk."""
    return Operation(
        request=Request(operation="chat", provider="toy", model=model, stream=True),
        timing=Timing(began_ns=AT_NS, started=0.0, ended=float(chunks), chunks=[float(at) for at in range(chunks)]),
        response=Response(usage=Usage(input=9, output=3), **response),
    )


def report(recorded: Recorded, *operations: Operation) -> Telemetry:
    telemetry = Telemetry("toy", "1", Config(), **recorded.providers)
    for operation in operations:
        span = telemetry.start(operation.request, AT_NS)
        telemetry.report(span, trace.set_span_in_context(span, Context()), operation)
    return telemetry


def test_the_times_between_a_thousand_chunks_are_recorded_through_the_api_once(
    recorded: Recorded, recorded_by_api: list[float]
) -> None:
    report(recorded, stream())
    # Once for every histogram and set of attributes: first chunk, between chunks, duration, tokens of either type.
    assert sorted(recorded_by_api) == [0.0, 1.0, 3, 9, 1001.0]
    (point,) = recorded.metrics()[PER_CHUNK]
    assert (point.count, point.sum) == (1000, 1000.0)


def test_a_second_call_records_nothing_through_the_api(recorded: Recorded, recorded_by_api: list[float]) -> None:
    report(recorded, stream(), stream())
    assert len(recorded_by_api) == 5
    metrics = recorded.metrics()
    assert [point.count for point in metrics[PER_CHUNK]] == [2000]
    assert [(point.attributes["gen_ai.token.type"], point.sum) for point in metrics[TOKENS]] == [
        ("input", 18),
        ("output", 6),
    ]


def test_times_of_every_call_lead_to_its_span_and_counts_of_tokens_do_not(recorded: Recorded) -> None:
    report(recorded, stream(chunks=4), stream(chunks=9))
    spans = [span.context.span_id for span in recorded.spans(2)]
    metrics = recorded.metrics()
    (point,) = metrics[DURATION]
    assert {(exemplar.value, exemplar.span_id) for exemplar in point.exemplars} == {(4.0, spans[0]), (9.0, spans[1])}
    assert [point.exemplars for point in metrics[TOKENS]] == [[], []]


def test_clients_and_servers_have_instruments_of_their_own_with_the_same_attributes(recorded: Recorded) -> None:
    asked = stream(chunks=3)
    served = asked._replace(request=asked.request._replace(side=Side.SERVER))
    report(recorded, asked, served, asked)
    counts = {name: [point.count for point in points] for name, points in recorded.metrics().items()}
    assert (counts[DURATION], counts["gen_ai.server.request.duration"]) == ([2], [1])


def test_more_sets_of_attributes_than_are_remembered_are_all_counted(
    recorded: Recorded, recorded_by_api: list[float]
) -> None:
    models = [f"m{number}" for number in range(1010)]
    operations = [stream(model, chunks=3) for model in models]
    report(recorded, *operations, *operations)
    points = recorded.metrics()[PER_CHUNK]
    assert {point.attributes["gen_ai.request.model"]: point.count for point in points} == dict.fromkeys(models, 4)
    # Five for each that is remembered; for each other six, twice.
    assert len(recorded_by_api) == 1000 * 5 + 10 * 6 * 2


def test_an_attribute_that_is_not_hashable_is_passed_to_the_sdk(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd: Any = ["not", "hashable"]
    recorded_anyway: list[Any] = []
    monkeypatch.setattr(type(_made(recorded)), "record", lambda _, value, *__: recorded_anyway.append(value))
    report(recorded, stream(chunks=0, system_fingerprint=odd))
    assert recorded_anyway == [0.0, 9, 3]


def _made(recorded: Recorded) -> Any:
    return recorded.meter_provider.get_meter("any").create_histogram("any")
