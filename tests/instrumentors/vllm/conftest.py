"""Fixtures of the tests against the vLLM stub."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from otel_genai.server import cold_start
from tests.support.openai.clients import CAPTURE
from tests.support.vllm.engines import instrumented_vllm
from tests.support.vllm.stub import importable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.providers import Recorded


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`import vllm` finds the stub."""
    # Whichever test makes the first engine of this process would get its cold start.
    monkeypatch.setattr(cold_start, "_begun_in", os.getpid())
    with importable():
        yield


@pytest.fixture
def instrumented(stub: None, recorded: Recorded) -> Iterator[Recorded]:
    """The stub instrumented, content off."""
    with instrumented_vllm(recorded):
        yield recorded


@pytest.fixture
def capturing(stub: None, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """The stub instrumented, content on."""
    monkeypatch.setenv(CAPTURE, "true")
    with instrumented_vllm(recorded):
        yield recorded
