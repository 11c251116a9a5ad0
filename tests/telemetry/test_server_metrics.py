"""Metrics of served requests: their phases in the engine, and the conventions' server metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.config import Config
from otel_genai.operation import Failure, Phase, Response, Side, Usage
from tests.support.engine_metrics import DECODE, PREFILL, QUEUE, report, telemetry

if TYPE_CHECKING:
    from tests.support.providers import Recorded


@pytest.mark.parametrize("side", [Side.SERVER, Side.INTERNAL])
@pytest.mark.parametrize("operation", ["chat", "embeddings", "classify"])
def test_phases_of_an_engines_requests_are_measured(recorded: Recorded, side: Side, operation: str) -> None:
    report(telemetry(recorded), side=side, operation=operation)
    metrics = recorded.metrics()
    found = {name: (point.count, point.sum) for name, (point,) in metrics.items() if name.startswith("otel_genai.")}
    assert found == {QUEUE: (1, 0.75), PREFILL: (1, 0.25), DECODE: (1, 1.25)}
    (point,) = metrics[QUEUE]
    assert dict(point.attributes) == {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "toy",
        "gen_ai.request.model": "m",
    }


def test_phases_of_a_client_are_not_measured(recorded: Recorded) -> None:
    report(telemetry(recorded), side=Side.CLIENT)
    assert not [name for name in recorded.metrics() if name.startswith("otel_genai.")]


@pytest.mark.parametrize(
    "outcome",
    [
        {"failure": Failure("toy.Broken", "it broke")},
        {"unfinished": True},
        {"response": Response(finish_reasons=("abort",))},
        {"response": Response(finish_reasons=("stop", "error"))},
    ],
    ids=["failed", "unfinished", "stopped by its caller", "without an end"],
)
def test_phases_of_a_request_without_its_end_are_not_measured(recorded: Recorded, outcome: dict[str, Any]) -> None:
    report(telemetry(recorded), **outcome)
    metrics = recorded.metrics()
    assert "gen_ai.server.request.duration" in metrics
    assert not [name for name in metrics if name.startswith("otel_genai.")]


def test_a_phase_that_was_not_reported_is_not_measured(recorded: Recorded) -> None:
    report(telemetry(recorded), phases=(Phase("queue", 0.0, 0.5),))
    assert {name for name in recorded.metrics() if name.startswith("otel_genai.")} == {QUEUE}


# ── the conventions' server metrics ────────────────────────────────────────────────────────────────────────────────────

DURATION = "gen_ai.server.request.duration"
FIRST_TOKEN = "gen_ai.server.time_to_first_token"
OUTPUT_TOKEN = "gen_ai.server.time_per_output_token"


@pytest.mark.parametrize("opt_in", ["", "gen_ai_latest_experimental", "gen_ai_latest_experimental/dup"])
def test_a_servers_metrics_are_the_same_in_both_vintages_and_written_once(recorded: Recorded, opt_in: str) -> None:
    config = Config.from_environment({"OTEL_SEMCONV_STABILITY_OPT_IN": opt_in})
    report(telemetry(recorded, config), response=Response(usage=Usage(output=10), finish_reasons=("stop",)))
    metrics = recorded.metrics()
    assert {name: (point.count, point.sum) for name, (point,) in metrics.items()} == {
        DURATION: (1, 3.0),
        FIRST_TOKEN: (1, 0.75),
        OUTPUT_TOKEN: (1, 0.25),
        QUEUE: (1, 0.75),
        PREFILL: (1, 0.25),
        DECODE: (1, 1.25),
    }
    buckets = {name: metrics[name][0].explicit_bounds for name in (DURATION, FIRST_TOKEN, OUTPUT_TOKEN)}
    assert buckets == {
        DURATION: (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
        FIRST_TOKEN: (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
        OUTPUT_TOKEN: (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
    }
    assert len(recorded.schema_urls()) == 1


def test_one_token_has_no_time_per_later_token(recorded: Recorded) -> None:
    report(telemetry(recorded), response=Response(usage=Usage(output=1)))
    assert {FIRST_TOKEN, DURATION} <= recorded.metrics().keys()
    assert OUTPUT_TOKEN not in recorded.metrics()


def test_sequences_side_by_side_have_the_time_per_token_of_one(recorded: Recorded) -> None:
    answer = Response(usage=Usage(output=20), finish_reasons=("stop", "length"))
    report(telemetry(recorded), response=answer)
    (point,) = recorded.metrics()[OUTPUT_TOKEN]
    assert point.sum == 0.25


def test_a_failure_has_a_duration_with_its_error_and_no_token_times(recorded: Recorded) -> None:
    report(
        telemetry(recorded),
        failure=Failure("toy.Broken", "it broke"),
        response=Response(usage=Usage(output=10)),
    )
    metrics = recorded.metrics()
    assert metrics.keys() == {DURATION}
    assert metrics[DURATION][0].attributes["error.type"] == "toy.Broken"


def test_a_served_request_that_is_no_inference_has_a_duration(recorded: Recorded) -> None:
    report(telemetry(recorded), operation="embeddings", first_token=None, phases=())
    assert recorded.metrics().keys() == {DURATION}
