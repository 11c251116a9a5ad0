"""Fixtures of the tests of bound histograms."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def recorded_by_api(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every value that is passed to the SDK's own `record`."""
    from opentelemetry.sdk.metrics._internal.instrument import _Histogram

    recorded: list[float] = []
    record = _Histogram.record

    def recording(self: Any, amount: float, *args: Any, **kwargs: Any) -> None:
        if self.instrumentation_scope.name == "toy":
            recorded.append(amount)
        record(self, amount, *args, **kwargs)

    monkeypatch.setattr(_Histogram, "record", recording)
    return recorded
