"""The metrics of calls and streams, and their exemplars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_genai.config import Config
from tests.support.patched_toy import PatchedToy
from tests.support.toy_library import Stream

if TYPE_CHECKING:
    import pytest

    from tests.support.providers import Recorded


def test_both_vintages_at_once(recorded: Recorded) -> None:
    toy = PatchedToy(
        recorded, Config.from_environment({"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental/dup"})
    )
    list(toy.client.create(result=Stream(["a", "b"])))
    toy.patches.revert()
    assert recorded.metrics().keys() == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.token.usage",
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.time_per_output_chunk",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.operation.output_tokens",
    }
    assert recorded.schema_urls() == {
        "https://opentelemetry.io/schemas/1.41.0",
        "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
    }


def test_histograms_carry_exemplars_of_the_span(recorded: Recorded) -> None:
    toy = PatchedToy(recorded)
    toy.client.create(result="x")
    toy.patches.revert()
    (point,) = recorded.metrics()["gen_ai.client.operation.duration"]
    assert [exemplar.span_id for exemplar in point.exemplars] == [recorded.span().context.span_id]


def test_the_exemplar_of_a_stream_is_its_longest_time_between_chunks(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Began, called; asked and arrived three times; asked, ended.
    times = iter([0.0, 0.0, 0.0, 1.0, 1.0, 8.0, 8.0, 8.25, 8.25, 8.25])
    monkeypatch.setattr("otel_genai.call.call.perf_counter", lambda: next(times))
    toy = PatchedToy(recorded)
    list(toy.client.create(result=Stream(["a", "b", "c"])))
    toy.patches.revert()
    (point,) = recorded.metrics()["gen_ai.client.operation.time_per_output_chunk"]
    assert (point.count, point.sum) == (2, 7.25)
    assert [(exemplar.value, exemplar.span_id) for exemplar in point.exemplars] == [
        (7.0, recorded.span().context.span_id)
    ]


def test_times_between_chunks_can_be_left_out_of_the_metrics(recorded: Recorded) -> None:
    toy = PatchedToy(recorded, Config(chunk_metrics=False))
    list(toy.client.create(result=Stream(["a", "b"])))
    toy.patches.revert()
    assert set(recorded.metrics()) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
    }
