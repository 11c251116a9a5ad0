"""Figures have the unit that reads best."""

# ruff: noqa: RUF001 - the dash is the report's own
from __future__ import annotations

import pytest

from otel_genai.recording.output.formatting import seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (0.0, "0 µs"),
        (0.000_25, "250 µs"),
        (0.003_214, "3.21 ms"),
        (0.0999, "99.9 ms"),
        (0.8124, "812 ms"),
        (0.9996, "1.00 s"),
        (59.95, "60.0 s"),
        (754.2, "754 s"),
    ],
)
def test_times_are_in_the_unit_that_reads_best(value: float | None, expected: str) -> None:
    assert seconds(value) == expected
