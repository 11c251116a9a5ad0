"""Times of `generate` without a streamer: a time for every step that adds one token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.openai.clients import attributes
from tests.support.transformer_models import HELLO, LIMITED, SEA, inputs, make, model, output

if TYPE_CHECKING:
    from otel_genai.operation import Operation
    from tests.support.providers import Recorded


def test_every_token_has_its_time_without_a_streamer(operations: list[Operation], instrumented: Recorded) -> None:
    model("llama").generate(**inputs())
    (operation,) = operations
    timing = operation.timing
    assert (len(timing.asked), len(timing.chunks), timing.tokens) == (4, 4, [1, 1, 1, 1])
    assert timing.first_token == timing.chunks[0]
    moments = [timing.started, *timing.chunks, timing.ended]
    assert moments == sorted(set(moments))
    assert list(timing.asked[1:]) == list(timing.chunks[:-1])
    assert set(instrumented.metrics()) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "gen_ai.server.request.duration",
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_per_output_token",
    }
    assert "gen_ai.response.time_to_first_chunk" not in (instrumented.span().attributes or {})


def test_an_ended_sequence_adds_no_tokens(operations: list[Operation], instrumented: Recorded) -> None:
    end = output(HELLO, SEA)[0][1]
    model("llama").generate(**inputs(HELLO, SEA, eos_token_id=end))
    assert [operation.timing.tokens for operation in operations] == [[2, 2, 1, 1]]


def test_steps_of_another_model_are_not_counted(operations: list[Operation], instrumented: Recorded) -> None:
    def ask(*_: Any) -> None:
        model("qwen2").generate(**inputs())

    asking = make("llama")
    asking.model.register_forward_pre_hook(ask)
    asking.generate(**inputs())
    assert [operation.timing.tokens for operation in operations] == [[1, 1, 1, 1]]
    assert attributes(instrumented.span()) == LIMITED


def test_time_per_output_token_is_that_of_each_sequence(operations: list[Operation], instrumented: Recorded) -> None:
    model("llama").generate(**inputs(HELLO, SEA))
    (timing,) = [operation.timing for operation in operations]
    (point,) = instrumented.metrics()["gen_ai.server.time_per_output_token"]
    assert point.sum == pytest.approx((timing.ended - timing.chunks[0]) / 3)


@pytest.mark.parametrize("settings", [{"num_beams": 2}, {"prompt_lookup_num_tokens": 2}], ids=["beams", "assistance"])
def test_beams_and_assistance_without_a_streamer_have_no_token_times(
    settings: dict[str, Any], operations: list[Operation], instrumented: Recorded
) -> None:
    model("llama").generate(**inputs(**settings))
    assert [len(operation.timing.chunks) for operation in operations] == [0]
    assert "gen_ai.server.time_to_first_token" not in instrumented.metrics()
