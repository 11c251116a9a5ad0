"""Makes the tables of docs/ out of the code that they describe, so that they cannot go stale: `make docs`.

A page is prose with marked places (`<!-- table: name -->` … `<!-- end -->`); only what stands between the marks is written here.
What an attribute means is said in `MEANINGS`; where it is reported, and of which type, is found out by putting the calls of
`maximal` through the real adapters, `Call` and `Telemetry`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from otel_genai.call.call import Call
from otel_genai.config import SETTINGS, Config
from otel_genai.endpoint.endpoint import Arguments
from otel_genai.endpoint.rows import CallRow
from otel_genai.guard import Guard
from otel_genai.http.body import loose
from otel_genai.instrumentors.openai import server
from otel_genai.instrumentors.openai.instrumentor import OpenAIInstrumentor
from otel_genai.semconv import gen_ai, general, openai, otel_genai
from otel_genai.semconv.metrics import (
    BATCH_BUCKETS,
    DURATION_BUCKETS,
    ENGINE_METRICS,
    FIRST_TOKEN_BUCKETS,
    LATEST,
    OUTPUT_TOKEN_BUCKETS,
    PHASE_BUCKETS,
    TOKEN_BUCKETS,
    V1_41,
)
from otel_genai.telemetry import render
from otel_genai.telemetry.telemetry import Telemetry
from tests.support.openai.all_surfaces import SURFACES
from tests.support.providers import Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from otel_genai.semconv.metrics import EngineMetric, Metric, Vintage
    from tests.support.openai.all_surfaces import Surface

DOCS: Final = Path(__file__).parents[2] / "docs"

# ── what no code can tell ──────────────────────────────────────────────────────────────────────────────────────────────

MODALITIES: Final = {"text", "image", "audio"}
_MODALITY: Final = "<modality>"

MEANINGS: Final = {
    gen_ai.OPERATION_NAME: ("always", "what was asked for"),
    gen_ai.PROVIDER_NAME: ("always", "who serves the model, told by the server's address: see [below](#providers)"),
    gen_ai.REQUEST_MODEL: ("the request names a model", "the model, exactly as asked for"),
    general.SERVER_ADDRESS: ("the client has a base URL", "host of the base URL"),
    general.SERVER_PORT: ("with `server.address`", "port of the base URL, or its scheme's"),
    openai.API_TYPE: ("always, on these surfaces", "`chat_completions` or `responses`"),
    gen_ai.REQUEST_STREAM: ("a stream was asked for", "`true`; absent otherwise"),
    gen_ai.OUTPUT_TYPE: ("asked for, or implied by the surface", "`text`, `json`, `image` or `speech`"),
    gen_ai.REQUEST_CHOICE_COUNT: ("asked for, and not 1", "`n`"),
    gen_ai.REQUEST_MAX_TOKENS: (
        "asked for",
        "`max_completion_tokens`, `max_output_tokens` or `max_tokens`",
    ),
    gen_ai.REQUEST_TEMPERATURE: ("asked for", "`temperature`"),
    gen_ai.REQUEST_TOP_P: ("asked for", "`top_p`"),
    gen_ai.REQUEST_TOP_K: ("asked for", "`top_k`, which servers such as vLLM take in `extra_body`"),
    gen_ai.REQUEST_FREQUENCY_PENALTY: ("asked for", "`frequency_penalty`"),
    gen_ai.REQUEST_PRESENCE_PENALTY: ("asked for", "`presence_penalty`"),
    gen_ai.REQUEST_STOP_SEQUENCES: ("asked for", "`stop`"),
    gen_ai.REQUEST_SEED: ("asked for", "`seed`"),
    gen_ai.REQUEST_REASONING_LEVEL: ("asked for", "`reasoning_effort`, or `reasoning.effort`"),
    openai.REQUEST_SERVICE_TIER: ("asked for, and not `auto`", "`service_tier` of the request"),
    gen_ai.CONVERSATION_ID: ("named by the server, or else by the request", "the conversation that the provider keeps"),
    gen_ai.REQUEST_PREVIOUS_RESPONSE_ID: ("asked for", "`previous_response_id`"),
    gen_ai.PROMPT_NAME: ("asked for", "`prompt.id`: a template that the provider keeps"),
    gen_ai.PROMPT_VERSION: ("asked for", "`prompt.version`"),
    gen_ai.REQUEST_STREAM_CURSOR: ("asked for", "`starting_after`: where a fetched stream continues"),
    gen_ai.REQUEST_ENCODING_FORMATS: (
        "asked for by the application",
        "`encoding_format`; not the base64 that the client chooses by itself",
    ),
    gen_ai.EMBEDDINGS_DIMENSION_COUNT: (
        "received, or else asked for",
        "length of the first vector; `dimensions` if none came",
    ),
    gen_ai.RESPONSE_ID: ("the server told", "id of the answer; on a fetch also if it failed"),
    gen_ai.RESPONSE_MODEL: (
        "the server told",
        "the model that really answered; on Azure its header `x-ms-served-model` wins",
    ),
    gen_ai.RESPONSE_STATUS: (
        "the server told",
        "of a fetched response: `queued`, `in_progress`, `completed`, `incomplete`, `failed`, `cancelled`",
    ),
    gen_ai.RESPONSE_FINISH_REASONS: (
        "choices were received, or were due from a stream",
        "one a choice, in the provider's words; `error` where one was due and did not come",
    ),
    gen_ai.CONVERSATION_COMPACTED: (
        "it happened",
        "`true`: the server replaced the conversation by a shorter account of it",
    ),
    openai.RESPONSE_SERVICE_TIER: ("the server told", "the tier that served the call"),
    openai.RESPONSE_SYSTEM_FINGERPRINT: ("the server told", "the server's configuration"),
    gen_ai.USAGE_INPUT_TOKENS: ("the server counted", "all prompt tokens, cached ones included"),
    gen_ai.USAGE_OUTPUT_TOKENS: ("the server counted", "all generated tokens, reasoning included"),
    gen_ai.USAGE_CACHE_READ_INPUT_TOKENS: ("the server counted some", "the part of the input that came from a cache"),
    gen_ai.USAGE_CACHE_WRITE_INPUT_TOKENS: ("the server counted some", "the part of the input that went into a cache"),
    gen_ai.USAGE_REASONING_OUTPUT_TOKENS: ("the server counted some", "the part of the output that was reasoning"),
    gen_ai.USAGE_MODALITY_INPUT_TOKENS.format(_MODALITY): (
        "the server counted some",
        "the part of the input that was `text`, `image` or `audio`",
    ),
    gen_ai.USAGE_MODALITY_OUTPUT_TOKENS.format(_MODALITY): (
        "the server counted some",
        "the part of the output that was `text`, `image` or `audio`",
    ),
    gen_ai.RESPONSE_TIME_TO_FIRST_CHUNK: ("a chunk came", "seconds from the call to the first chunk"),
    otel_genai.RESPONSE_TIME_TO_FIRST_TOKEN: (
        "output came in a stream",
        "seconds from the call to the first chunk that carries generated output",
    ),
    general.ERROR_TYPE: (
        "it failed",
        "class of the exception: `openai.RateLimitError`, `asyncio.exceptions.CancelledError`",
    ),
    gen_ai.SYSTEM_INSTRUCTIONS: (
        "content is captured",
        "instructions that the interface takes apart from the messages",
    ),
    gen_ai.INPUT_MESSAGES: ("content is captured", "what was asked"),
    gen_ai.TOOL_DEFINITIONS: ("content is captured", "names and types of the tools offered"),
    gen_ai.OUTPUT_MESSAGES: ("content is captured, and there was an answer", "what was answered, a message a choice"),
    gen_ai.TOKEN_TYPE: ("token metrics of v1.41", "`input` or `output`"),
    gen_ai.TOKEN_MODALITY: (
        "token counters of the latest vintage",
        "`text`, `image`, `audio`; `unknown` if the server does not tell them apart",
    ),
    general.EXCEPTION_TYPE: ("it failed", "as `error.type`"),
    general.EXCEPTION_MESSAGE: ("content is captured", "the error's own words, without keys"),
    general.EXCEPTION_STACKTRACE: ("content is captured", "as Python prints it"),
}
"""Attribute → when it is set, and what it says."""

EVENTS: Final = {
    gen_ai.DETAILS_EVENT: "an inference ends, its span is recorded, and events are on (`OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT`)",
    gen_ai.EXCEPTION_EVENT: "an operation fails and its span is recorded",
}
"""Event → when it is emitted."""

ARGUMENTS: Final = {
    "tracer_provider": ("OpenTelemetry's global one", "Where spans go."),
    "meter_provider": ("OpenTelemetry's global one", "Where metrics go."),
    "logger_provider": ("OpenTelemetry's global one", "Where events go."),
    "provider": (
        "told by the server's address",
        '`gen_ai.provider.name` of every server, whatever its address: `"vllm"`.',
    ),
    "redact": (
        "none",
        "A function from text to text, applied to all content before anything is recorded. If it raises, that call has no content.",
    ),
    "completion_hook": (
        "the hook that the environment names",
        "An object with the `on_completion` of `opentelemetry-util-genai`, given every prompt and answer.",
    ),
    "engine_stats": (
        "what the environment says",
        "`True` has an engine keep statistics even if the program has left them off, `False` leaves that to the program.",
    ),
}
"""Argument of `instrument()` → its default, and what it does."""

# ── what the examples come to ──────────────────────────────────────────────────────────────────────────────────────────

_CONTENT: Final = frozenset(
    {gen_ai.SYSTEM_INSTRUCTIONS, gen_ai.INPUT_MESSAGES, gen_ai.TOOL_DEFINITIONS, gen_ai.OUTPUT_MESSAGES}
)
_TYPES: Final = {bool: "boolean", int: "int", float: "double", str: "string", tuple: "string[]"}


class _Client:
    base_url = SimpleNamespace(host="api.openai.com", port=None, scheme="https", path="/v1/")


class _Resource:
    _client = _Client()


_RESOURCE: Final = _Resource()


def _whole(surface: Surface, call: Call) -> None:
    call.settle(_received(surface.answer))


def _streamed(surface: Surface, call: Call) -> None:
    for _ in call.settle(map(_received, surface.events)):
        pass


def _failed(_: Surface, call: Call) -> None:
    call.fail(RuntimeError("a failure"))


_WAYS: Final[tuple[Callable[[Surface, Call], None], ...]] = (_whole, _streamed, _failed)


def _received(value: Any) -> Any:
    return loose(json.dumps(value).encode())


@dataclass(frozen=True, slots=True)
class Report:
    """What was reported of one example in one way."""

    surface: Surface
    way: Callable[[Surface, Call], None]
    span: Any
    metrics: Mapping[str, tuple[frozenset[str], Mapping[str, Any]]]
    """By name: which attributes, and the values of one data point."""
    events: Mapping[str, Any]


def reports(vintage: Vintage) -> tuple[Report, ...]:
    """Every example in every way, with everything on."""
    return _reports()[vintage.schema_url]


@cache
def _reports() -> Mapping[str, tuple[Report, ...]]:
    return {
        vintage.schema_url: tuple(
            _report(surface, way, vintage)
            for surface in SURFACES
            for way in _WAYS
            if surface.events or way is not _streamed
        )
        for vintage in (V1_41, LATEST)
    }


def _report(surface: Surface, way: Callable[[Surface, Call], None], vintage: Vintage) -> Report:
    recorded = Recorded()
    everything = Config(content_on_spans=True, content_on_events=True, emit_event=True, vintages=(vintage,))
    telemetry = Telemetry("docs", "0", everything, **recorded.providers)
    asked = {**surface.asked, **(surface.streams if way is _streamed else {})}
    call = Call.begin(telemetry, surface.endpoint, Arguments(_RESOURCE, (), asked))
    assert call is not None
    way(surface, call)
    return Report(
        surface,
        way,
        recorded.span(),
        {
            name: (frozenset().union(*(point.attributes for point in points)), points[0].attributes)
            for name, points in recorded.metrics().items()
        },
        {event.log_record.event_name or "": event.log_record for event in recorded.events()},
    )


def attribute_values() -> dict[str, dict[str, Any]]:
    """Attribute → on what it was seen (spans, metrics, events) → a value there."""
    seen: dict[str, dict[str, Any]] = {}
    for report in (*reports(V1_41), *reports(LATEST)):
        for carrier, attributes in (
            ("spans", report.span.attributes),
            *(("metrics", attributes) for _, attributes in report.metrics.values()),
            *(("events", event.attributes) for event in report.events.values()),
        ):
            for name, value in attributes.items():
                seen.setdefault(_family(name), {})[carrier] = value
    return seen


def _family(name: str) -> str:
    # One name for the same thing in several modalities.
    for template in (gen_ai.USAGE_MODALITY_INPUT_TOKENS, gen_ai.USAGE_MODALITY_OUTPUT_TOKENS):
        if name in {template.format(modality) for modality in MODALITIES}:
            return template.format(_MODALITY)
    return name


# ── tables ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    columns = tuple(header)
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        cells = (cell.replace("|", "\\|") for cell in row)
        yield f"| {' | '.join(cells)} |"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def calls(surface: Surface) -> list[str]:
    """What an application calls: `chat.completions.create`."""
    found: dict[str, None] = {}
    for row in OpenAIInstrumentor.rows:
        if isinstance(row, CallRow) and row.load() is surface.endpoint:
            owner, _, method = row.target.partition(".")
            path = row.module.removeprefix("openai.resources.").split(".")
            # `responses.responses` is a file in a folder of that name; there is an async twin of each class.
            resource = ".".join(part for place, part in enumerate(path) if part not in path[:place])
            if not owner.startswith("Async"):
                found[f"{resource}.{method}"] = None
    return [*found, *surface.through]


def _surfaces() -> Iterator[str]:
    def row(report: Report) -> Iterator[str]:
        span = report.span
        yield report.surface.name
        yield _code(calls(report.surface))
        yield f"`{span.attributes[gen_ai.OPERATION_NAME]}`"
        yield f"`{span.name}`"
        yield span.kind.name
        yield _code(name.removeprefix("gen_ai.") for name in sorted(_CONTENT & span.attributes.keys())) or "none"

    header = (
        "Surface",
        "Calls",
        "`gen_ai.operation.name`",
        "Span, for example",
        "Kind",
        "Content, if captured: `gen_ai.…`",
    )
    return _table(header, (row(report) for report in reports(V1_41) if report.way is _whole))


def _attributes() -> Iterator[str]:
    seen = attribute_values()
    at_start = {
        name
        for surface in SURFACES
        for name in render.creation_attributes(surface.endpoint.request(Arguments(_RESOURCE, (), surface.asked)))
    }

    def row(name: str) -> Iterator[str]:
        when, meaning = MEANINGS[name]
        carriers = seen[name]
        yield f"`{name}`"
        yield "JSON" if name in _CONTENT else _TYPES[type(next(iter(carriers.values())))]
        yield ", ".join(carrier for carrier in ("spans", "metrics", "events") if carrier in carriers)
        yield f"**{when}**" if name in at_start else when
        yield meaning

    return _table(("Attribute", "Type", "On", "Set if", "Meaning"), map(row, MEANINGS))


def _matrix() -> Iterator[str]:
    ways: dict[str, dict[str, set[Any]]] = {}
    for report in reports(V1_41):
        for name in report.span.attributes:
            ways.setdefault(_family(name), {}).setdefault(report.surface.name, set()).add(report.way)

    def cell(surface: Surface, found: set[Any]) -> str:
        if not found:
            return ""
        if _whole in found and (_streamed in found or not surface.events):
            return "●"
        return "whole" if _whole in found else "stream" if _streamed in found else "error"

    return _table(
        ("Attribute", *(surface.name for surface in SURFACES)),
        (
            (f"`{name}`", *(cell(surface, ways[name].get(surface.name, set())) for surface in SURFACES))
            for name in MEANINGS
            if name in ways
        ),
    )


def _metrics(vintage: Vintage) -> Iterator[str]:
    rows: dict[str, Metric] = {metric.name: metric for metric in vintage.metrics if not metric.served}
    common = _common_metric_attributes()

    def row(name: str, metric: Metric) -> Iterator[str]:
        told = [(report, report.metrics[name][0]) for report in reports(vintage) if name in report.metrics]
        yield f"`{name}`"
        yield metric.description
        yield metric.kind.value
        yield f"`{metric.unit}`"
        yield {(): "", DURATION_BUCKETS: "D", TOKEN_BUCKETS: "T"}[metric.buckets]
        yield _where([report for report, _ in told])
        yield _code(sorted(set().union(*(names for _, names in told)) - common))

    header = ("Metric", "Meaning", "Instrument", "Unit", "Buckets", "Recorded for", "Attributes beside the common ones")
    return _table(header, (row(name, metric) for name, metric in rows.items()))


def _server_metrics() -> Iterator[str]:
    return _plain_metrics(row for row in V1_41.metrics if row.served and row.name.startswith("gen_ai."))


def _engine_metrics() -> Iterator[str]:
    durations = (row for row in V1_41.metrics if row.served and not row.name.startswith("gen_ai."))
    return _plain_metrics([*ENGINE_METRICS, *durations])


def _plain_metrics(metrics: Iterable[Metric | EngineMetric]) -> Iterator[str]:
    letters = {
        (): "",
        BATCH_BUCKETS: "B",
        DURATION_BUCKETS: "D",
        FIRST_TOKEN_BUCKETS: "F",
        OUTPUT_TOKEN_BUCKETS: "P",
        PHASE_BUCKETS: "E",
    }

    def row(metric: Metric | EngineMetric) -> Iterator[str]:
        yield f"`{metric.name}`"
        yield metric.description
        yield metric.kind.value
        yield f"`{metric.unit}`"
        yield letters[metric.buckets]

    return _table(("Metric", "Meaning", "Instrument", "Unit", "Buckets"), map(row, metrics))


def _common_metric_attributes() -> frozenset[str]:
    return frozenset.intersection(
        *(
            names
            for vintage in (V1_41, LATEST)
            for report in reports(vintage)
            if report.way is _whole and {gen_ai.REQUEST_MODEL, gen_ai.RESPONSE_MODEL} <= report.span.attributes.keys()
            for names, _ in report.metrics.values()
        )
    )


def _where(told: list[Report]) -> str:
    whole = [report.surface.name for report in told if report.way is _whole]
    streams = [report.surface.name for report in told if report.way is _streamed]
    if len(whole) == len(SURFACES):
        return "all"
    if not whole:
        return "streams: " + ", ".join(streams)
    return ", ".join([*whole, *(f"{name} (streamed)" for name in streams if name not in whole)])


def _events() -> Iterator[str]:
    def row(name: str, when: str) -> Iterator[str]:
        told = [report for report in reports(V1_41) if name in report.events]
        names = set[str]().union(*(report.events[name].attributes for report in told))
        surfaces = dict.fromkeys(report.surface.name for report in told)
        as_span = all(report.events[name].attributes.keys() == report.span.attributes.keys() for report in told)
        yield f"`{name}`"
        yield when
        yield told[0].events[name].severity_number.name
        yield "all" if len(surfaces) == len(SURFACES) else ", ".join(surfaces)
        yield "those of the span; content is structured" if as_span else _code(sorted(names))

    return _table(("Event", "Emitted when", "Severity", "For", "Attributes"), (row(*item) for item in EVENTS.items()))


def _buckets() -> Iterator[str]:
    yield f"- Common attributes: {_code(sorted(_common_metric_attributes()))}, as far as they are known."
    yield f"- Buckets D, in seconds: {', '.join(f'{bound:g}' for bound in DURATION_BUCKETS)}."
    yield f"- Buckets E, in seconds: {', '.join(f'{bound:g}' for bound in PHASE_BUCKETS)}."
    yield f"- Buckets F, in seconds: {', '.join(f'{bound:g}' for bound in FIRST_TOKEN_BUCKETS)}."
    yield f"- Buckets P, in seconds: {', '.join(f'{bound:g}' for bound in OUTPUT_TOKEN_BUCKETS)}."
    yield f"- Buckets B, in tokens: {', '.join(str(bound) for bound in BATCH_BUCKETS)}."
    yield f"- Buckets T, in tokens: {', '.join(str(bound) for bound in TOKEN_BUCKETS)}."


def _vintage_urls() -> Iterator[str]:
    yield f"- Spans, events and the latest metrics: `{LATEST.schema_url}`."
    yield f"- Metrics of v1.41: `{V1_41.schema_url}`."


def _providers() -> Iterator[str]:
    addresses: dict[str, list[str]] = {}
    for host, name in server._BY_HOST.items():
        addresses.setdefault(name, []).append(f"`{host}`")
    for ending, name in server._BY_ENDING.items():
        addresses.setdefault(name, []).append(f"`*{ending}`")
    for port, name in server._BY_PORT.items():
        addresses.setdefault(name, []).append(f"any other host, port {port}")
    return _table(
        ("`gen_ai.provider.name`", "Host name, or the end of one"),
        ((f"`{name}`", ", ".join(hosts)) for name, hosts in sorted(addresses.items())),
    )


def _settings() -> Iterator[str]:
    return _table(
        ("Variable", "Values", "Default", "Meaning"),
        ((f"`{row.variable}`", row.values, row.shown_default, row.meaning) for row in SETTINGS),
    )


def _arguments() -> Iterator[str]:
    return _table(
        ("Argument", "Default", "Meaning"),
        ((f"`{name}`", default, meaning) for name, (default, meaning) in ARGUMENTS.items()),
    )


TABLES: Final[Mapping[str, Callable[[], Iterator[str]]]] = {
    "surfaces": _surfaces,
    "attributes": _attributes,
    "attributes by surface": _matrix,
    "metrics of v1.41": lambda: _metrics(V1_41),
    "metrics of the latest": lambda: _metrics(LATEST),
    "metrics of servers": _server_metrics,
    "metrics of engines": _engine_metrics,
    "buckets": _buckets,
    "schemas": _vintage_urls,
    "events": _events,
    "providers": _providers,
    "settings": _settings,
    "arguments": _arguments,
}

_PLACE: Final = re.compile(r"(<!-- table: (?P<name>[^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def made(page: str) -> str:
    """The page with its tables made anew."""
    return _PLACE.sub(lambda place: "\n".join((place[1], *TABLES[place["name"]](), "", place[3])), page)


def main() -> None:
    """Make every page anew."""
    Guard.strict = True
    for path in sorted(DOCS.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        if page != made(page):
            path.write_text(made(page), encoding="utf-8")
            print(f"{path.relative_to(DOCS.parent)} is made anew")


if __name__ == "__main__":
    main()
