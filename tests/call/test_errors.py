"""Errors of this package: they cost attributes or a report, and never reach the application."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.config import Config
from otel_genai.endpoint.endpoint import Endpoint, Fold
from otel_genai.telemetry.observers import observe
from tests.support.patched_toy import PatchedToy
from tests.support.providers import Recorded, attribute
from tests.support.toy_library import TOY, Stream, ToyError

if TYPE_CHECKING:
    from opentelemetry import trace


def broken(*_: Any) -> Any:
    raise RuntimeError("a bug of ours")


class BrokenFold(Fold):
    def __init__(self, *_: Any) -> None:
        pass

    add = broken  # type: ignore[assignment]
    response = broken


@pytest.mark.usefixtures("_lenient")
@pytest.mark.parametrize(
    "endpoint",
    [
        replace(TOY, request=broken),
        replace(TOY, prompt=broken),
        replace(TOY, response=broken),
        replace(TOY, fold=broken),
        replace(TOY, fold=BrokenFold),
        replace(TOY, failure=broken),
    ],
    ids=["request", "prompt", "response", "fold", "chunk", "failure"],
)
def test_an_adapter_that_raises_costs_its_attributes_and_nothing_else(recorded: Recorded, endpoint: Endpoint) -> None:
    toy = PatchedToy(recorded, Config(content_on_spans=True, content_on_events=True, emit_event=True), endpoint)
    assert toy.client.create(result="x") == "x"
    assert list(toy.client.create(result=Stream(["a", "b"]))) == ["a", "b"]
    with pytest.raises(ToyError):
        toy.client.create(result=ToyError())
    toy.patches.revert()
    spans = recorded.spans(3)
    assert {span.name for span in spans} == {"chat"}
    assert attribute(spans[2], "error.type") == "tests.support.toy_library.ToyError"


class Broken:
    """Anything that telemetry is written to, out of order."""

    def __getattr__(self, name: str) -> Any:
        return broken


@pytest.mark.usefixtures("_lenient")
@pytest.mark.parametrize("part", ["_tracer", "_logger"])
def test_a_writer_that_raises_does_not_reach_the_application(recorded: Recorded, part: str) -> None:
    toy = PatchedToy(recorded, Config(emit_event=True))
    setattr(toy.telemetry, part, Broken())
    assert toy.client.create(result="x") == "x"
    assert list(toy.client.create(result=Stream(["a"]))) == ["a"]
    toy.patches.revert()


@pytest.mark.usefixtures("_lenient")
def test_an_observer_that_raises_does_not_reach_the_application(toy: PatchedToy) -> None:
    seen: list[str | None] = []
    stop_broken = observe(broken)
    stop = observe(lambda operation, _: seen.append(operation.response.id))
    assert toy.client.create(result="x") == "x"
    stop_broken()
    stop()
    toy.client.create(result="y")
    assert seen == ["x"]
    assert len(toy.recorded.spans(2)) == 2


def test_an_observer_receives_the_span(toy: PatchedToy) -> None:
    seen: list[trace.SpanContext] = []
    stop = observe(lambda _, span: seen.append(span.get_span_context()))
    toy.client.create(result="x")
    stop()
    stop()
    assert seen == [toy.recorded.span().context]
