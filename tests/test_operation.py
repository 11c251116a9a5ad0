"""The records' own arithmetic."""

from __future__ import annotations

import pytest

from otel_genai.operation import Timing


@pytest.mark.parametrize(
    ("first_token", "output_tokens", "sequences", "expected"),
    [
        (1.0, 5, 1, 0.5),
        (1.0, 10, 2, 0.5),  # sequences side by side share the time
        (1.0, 1, 1, None),
        (1.0, 2, 2, None),
        (1.0, 0, 1, None),
        (1.0, None, 1, None),
        (None, 5, 1, None),
    ],
)
def test_time_per_output_token_is_that_of_the_tokens_after_the_first(
    first_token: float | None, output_tokens: int | None, sequences: int, expected: float | None
) -> None:
    timing = Timing(began_ns=0, started=0.0, ended=3.0, first_token=first_token)
    assert timing.time_per_output_token(output_tokens, sequences) == expected
