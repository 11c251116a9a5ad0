"""The fixed-rate engine alone: its tokens and their times, without a server and on the test's own clock."""

from __future__ import annotations

import pytest

from otel_genai.simulator.engine.fixed_rate import FixedRateEngine
from otel_genai.simulator.engine.inference import Finish, Inference, Prefill, Sampling, Token
from otel_genai.simulator.engine.lifecycle import Lifecycle
from otel_genai.simulator.engine.statistics import Statistics
from otel_genai.simulator.engine.text import prose, tokens


async def test_late_steps_do_not_delay_the_steps_after_them() -> None:
    now = 100.0
    slept = []

    async def sleep_too_long(seconds: float) -> None:
        nonlocal now
        slept.append(round(seconds, 3))
        now += seconds + 0.25

    lifecycle = Lifecycle(Statistics())
    engine = FixedRateEngine(lifecycle, ttft=2.0, itl=1.0, clock=lambda: now, sleep=sleep_too_long)
    inference = Inference(prompts=("hi",), sampling=Sampling(max_tokens=4))
    events = [(now, event) async for event in engine.generate(inference)]
    assert slept == [2.0, 0.75, 0.75, 0.75]
    assert events == [
        (102.25, Prefill(prompt_tokens=1)),
        (102.25, Token(0, "A")),
        (103.25, Token(0, " patient")),
        (104.25, Token(0, " client")),
        (105.25, Token(0, " needs")),
        (105.25, Finish(0, "length")),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Say hello", ["Say", " hello"]),
        ("  It's 3.5!\n", ["  It", "'", "s", " 3", ".", "5", "!", "\n"]),
    ],
)
def test_tokens_are_words_and_punctuation_with_the_space_before_them(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected
    assert "".join(tokens(text)) == text


def test_text_depends_on_seed_prompt_and_choice() -> None:
    texts = {
        prose(seed=0, prompt="a", choice=0),
        prose(seed=1, prompt="a", choice=0),
        prose(seed=0, prompt="b", choice=0),
        prose(seed=0, prompt="a", choice=1),
    }
    assert len(texts) == 4
    assert prose(seed=0, prompt="a", choice=0) in texts
