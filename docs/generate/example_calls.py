"""An example of every surface of OpenAI's client, put through the real adapters, `Call` and `Telemetry`.

The tables of docs/telemetry.md read from it where an attribute is reported and which type it has.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from otel_genai.call.call import Call
from otel_genai.config import Config
from otel_genai.endpoint.arguments import Arguments
from otel_genai.http.body import loose
from otel_genai.semconv.metrics import LATEST, V1_41
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.openai.all_surfaces import SURFACES
from tests.support.providers import Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_genai.semconv.metrics import Vintage
    from tests.support.openai.all_surfaces import Surface


class _Client:
    base_url = SimpleNamespace(host="api.openai.com", port=None, scheme="https", path="/v1/")


class _Resource:
    _client = _Client()


RESOURCE: Final = _Resource()
"""The object whose method is called."""


def whole(surface: Surface, call: Call) -> None:
    """The call returns the complete response."""
    call.return_value(_as_model(surface.answer))


def streamed(surface: Surface, call: Call) -> None:
    """The call returns a stream, which is read to its end."""
    for _ in call.return_value(map(_as_model, surface.events)):
        pass


def failed(_: Surface, call: Call) -> None:
    """The call raises."""
    call.fail(RuntimeError("a failure"))


_OUTCOMES: Final[tuple[Callable[[Surface, Call], None], ...]] = (whole, streamed, failed)


def _as_model(value: Any) -> Any:
    return loose(json.dumps(value).encode())


@dataclass(frozen=True, slots=True)
class Report:
    """The telemetry of one example with one outcome."""

    surface: Surface
    outcome: Callable[[Surface, Call], None]
    span: Any
    metrics: Mapping[str, tuple[frozenset[str], Mapping[str, Any]]]
    """Name → the names of its attributes, and the attributes of one data point."""
    events: Mapping[str, Any]


def reports(vintage: Vintage) -> tuple[Report, ...]:
    """Every example with every outcome, content and events on."""
    return _reports()[vintage.schema_url]


@cache
def _reports() -> Mapping[str, tuple[Report, ...]]:
    return {
        vintage.schema_url: tuple(
            _report(surface, outcome, vintage)
            for surface in SURFACES
            for outcome in _OUTCOMES
            if surface.events or outcome is not streamed
        )
        for vintage in (V1_41, LATEST)
    }


def _report(surface: Surface, outcome: Callable[[Surface, Call], None], vintage: Vintage) -> Report:
    recorded = Recorded()
    everything = Config(content_on_spans=True, content_on_events=True, emit_event=True, vintages=(vintage,))
    telemetry = Telemetry("docs", "0", everything, **recorded.providers)
    asked = {**surface.asked, **(surface.streams if outcome is streamed else {})}
    call = Call.begin(telemetry, surface.endpoint, Arguments(RESOURCE, (), asked))
    assert call is not None
    outcome(surface, call)
    return Report(
        surface,
        outcome,
        recorded.span(),
        {
            name: (frozenset().union(*(point.attributes for point in points)), points[0].attributes)
            for name, points in recorded.metrics().items()
        },
        {event.log_record.event_name or "": event.log_record for event in recorded.events()},
    )
