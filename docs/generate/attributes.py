"""The attributes: where each is reported, of which type, when, and its meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from docs.generate.example_calls import RESOURCE, reports, streamed, whole
from docs.generate.markdown import table
from docs.generate.surfaces import CONTENT
from otel_genai.endpoint.arguments import Arguments
from otel_genai.semconv import gen_ai, general, openai, otel_genai
from otel_genai.semconv.metrics import LATEST, V1_41
from otel_genai.telemetry import render
from tests.support.openai.all_surfaces import SURFACES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.openai.all_surfaces import Surface

MODALITIES: Final = {"text", "image", "audio"}
_MODALITY: Final = "<modality>"

MEANINGS: Final = {
    gen_ai.OPERATION_NAME: ("always", "the operation: `chat`, `embeddings`, …"),
    gen_ai.PROVIDER_NAME: ("always", "the provider of the model, from the server's address: see [below](#providers)"),
    gen_ai.REQUEST_MODEL: ("the request names a model", "the model of the request, verbatim"),
    general.SERVER_ADDRESS: ("the client has a base URL", "host of the base URL"),
    general.SERVER_PORT: ("with `server.address`", "port of the base URL, or its scheme's"),
    openai.API_TYPE: ("always, on these surfaces", "`chat_completions` or `responses`"),
    gen_ai.REQUEST_STREAM: ("the request asks for a stream", "`true`; absent otherwise"),
    gen_ai.OUTPUT_TYPE: ("the request names it, or the surface implies it", "`text`, `json`, `image` or `speech`"),
    gen_ai.REQUEST_CHOICE_COUNT: ("the request sets it, and not to 1", "`n`"),
    gen_ai.REQUEST_MAX_TOKENS: (
        "the request sets it",
        "`max_completion_tokens`, `max_output_tokens` or `max_tokens`",
    ),
    gen_ai.REQUEST_TEMPERATURE: ("the request sets it", "`temperature`"),
    gen_ai.REQUEST_TOP_P: ("the request sets it", "`top_p`"),
    gen_ai.REQUEST_TOP_K: ("the request sets it", "`top_k`, which servers such as vLLM take in `extra_body`"),
    gen_ai.REQUEST_FREQUENCY_PENALTY: ("the request sets it", "`frequency_penalty`"),
    gen_ai.REQUEST_PRESENCE_PENALTY: ("the request sets it", "`presence_penalty`"),
    gen_ai.REQUEST_STOP_SEQUENCES: ("the request sets it", "`stop`"),
    gen_ai.REQUEST_SEED: ("the request sets it", "`seed`"),
    gen_ai.REQUEST_REASONING_LEVEL: ("the request sets it", "`reasoning_effort`, or `reasoning.effort`"),
    openai.REQUEST_SERVICE_TIER: ("the request sets it, and not to `auto`", "`service_tier` of the request"),
    gen_ai.CONVERSATION_ID: ("named by the server, or else by the request", "the conversation that the provider keeps"),
    gen_ai.REQUEST_PREVIOUS_RESPONSE_ID: ("the request sets it", "`previous_response_id`"),
    gen_ai.PROMPT_NAME: ("the request sets it", "`prompt.id`: a template that the provider keeps"),
    gen_ai.PROMPT_VERSION: ("the request sets it", "`prompt.version`"),
    gen_ai.REQUEST_STREAM_CURSOR: ("the request sets it", "`starting_after`: where a fetched stream continues"),
    gen_ai.REQUEST_ENCODING_FORMATS: (
        "the application sets it",
        "`encoding_format`; not the base64 that the client chooses by itself",
    ),
    gen_ai.EMBEDDINGS_DIMENSION_COUNT: (
        "a vector is received, or the request sets it",
        "length of the first vector; without one, `dimensions` of the request",
    ),
    gen_ai.RESPONSE_ID: ("the server sends it", "id of the response; on a fetch also if it fails"),
    gen_ai.RESPONSE_MODEL: (
        "the server sends it",
        "the model that served the call; on Azure the header `x-ms-served-model` wins",
    ),
    gen_ai.RESPONSE_STATUS: (
        "the server sends it",
        "of a fetched response: `queued`, `in_progress`, `completed`, `incomplete`, `failed`, `cancelled`",
    ),
    gen_ai.RESPONSE_FINISH_REASONS: (
        "choices are received, or are due from a stream",
        "one a choice, in the provider's words; `error` for a reason that was due and is missing",
    ),
    gen_ai.CONVERSATION_COMPACTED: (
        "the server does it",
        "`true`: the server replaced the conversation by a summary of it",
    ),
    openai.RESPONSE_SERVICE_TIER: ("the server sends it", "the tier that served the call"),
    openai.RESPONSE_SYSTEM_FINGERPRINT: ("the server sends it", "the server's configuration"),
    gen_ai.USAGE_INPUT_TOKENS: ("the server counts them", "all prompt tokens, cached ones included"),
    gen_ai.USAGE_OUTPUT_TOKENS: ("the server counts them", "all generated tokens, reasoning included"),
    gen_ai.USAGE_CACHE_READ_INPUT_TOKENS: ("the server counts some", "the part of the input that came from a cache"),
    gen_ai.USAGE_CACHE_WRITE_INPUT_TOKENS: ("the server counts some", "the part of the input that went into a cache"),
    gen_ai.USAGE_REASONING_OUTPUT_TOKENS: ("the server counts some", "the part of the output that was reasoning"),
    gen_ai.USAGE_MODALITY_INPUT_TOKENS.format(_MODALITY): (
        "the server counts some",
        "the part of the input that was `text`, `image` or `audio`",
    ),
    gen_ai.USAGE_MODALITY_OUTPUT_TOKENS.format(_MODALITY): (
        "the server counts some",
        "the part of the output that was `text`, `image` or `audio`",
    ),
    gen_ai.RESPONSE_TIME_TO_FIRST_CHUNK: ("a chunk is received", "seconds from the call to the first chunk"),
    otel_genai.RESPONSE_TIME_TO_FIRST_TOKEN: (
        "a stream carries output",
        "seconds from the call to the first chunk that carries generated output",
    ),
    general.ERROR_TYPE: (
        "the operation fails",
        "class of the exception: `openai.RateLimitError`, `asyncio.exceptions.CancelledError`",
    ),
    gen_ai.SYSTEM_INSTRUCTIONS: (
        "content is captured",
        "instructions that the API takes beside the messages",
    ),
    gen_ai.INPUT_MESSAGES: ("content is captured", "the messages of the request"),
    gen_ai.TOOL_DEFINITIONS: ("content is captured", "names and types of the tools offered"),
    gen_ai.OUTPUT_MESSAGES: ("content is captured, and there is an answer", "the response, a message a choice"),
    gen_ai.TOKEN_TYPE: ("token metrics of v1.41", "`input` or `output`"),
    gen_ai.TOKEN_MODALITY: (
        "token counters of the latest vintage",
        "`text`, `image`, `audio`; `unknown` without a breakdown by the server",
    ),
    general.EXCEPTION_TYPE: ("the operation fails", "as `error.type`"),
    general.EXCEPTION_MESSAGE: ("content is captured", "the error's message, without keys"),
    general.EXCEPTION_STACKTRACE: ("content is captured", "as Python prints it"),
}
"""Attribute → when it is set, and its meaning."""

_TYPES: Final = {bool: "boolean", int: "int", float: "double", str: "string", tuple: "string[]"}


def attribute_values() -> dict[str, dict[str, Any]]:
    """Attribute → signal that carries it (spans, metrics, events) → a value there."""
    seen: dict[str, dict[str, Any]] = {}
    for report in (*reports(V1_41), *reports(LATEST)):
        for signal, attributes in (
            ("spans", report.span.attributes),
            *(("metrics", attributes) for _, attributes in report.metrics.values()),
            *(("events", event.attributes) for event in report.events.values()),
        ):
            for name, value in attributes.items():
                seen.setdefault(_family(name), {})[signal] = value
    return seen


def _family(name: str) -> str:
    # One name for the same thing in several modalities.
    for template in (gen_ai.USAGE_MODALITY_INPUT_TOKENS, gen_ai.USAGE_MODALITY_OUTPUT_TOKENS):
        if name in {template.format(modality) for modality in MODALITIES}:
            return template.format(_MODALITY)
    return name


def attributes() -> Iterator[str]:
    """A row an attribute; those that samplers see are in bold."""
    seen = attribute_values()
    at_start = {
        name
        for surface in SURFACES
        for name in render.creation_attributes(surface.endpoint.request(Arguments(RESOURCE, (), surface.asked)))
    }

    def row(name: str) -> Iterator[str]:
        when, meaning = MEANINGS[name]
        signals = seen[name]
        yield f"`{name}`"
        yield "JSON" if name in CONTENT else _TYPES[type(next(iter(signals.values())))]
        yield ", ".join(signal for signal in ("spans", "metrics", "events") if signal in signals)
        yield f"**{when}**" if name in at_start else when
        yield meaning

    return table(("Attribute", "Type", "On", "Set if", "Meaning"), map(row, MEANINGS))


def attributes_by_surface() -> Iterator[str]:
    """A row an attribute, a column a surface: on a span of which outcome it is."""
    outcomes: dict[str, dict[str, set[Any]]] = {}
    for report in reports(V1_41):
        for name in report.span.attributes:
            outcomes.setdefault(_family(name), {}).setdefault(report.surface.name, set()).add(report.outcome)

    def cell(surface: Surface, found: set[Any]) -> str:
        if not found:
            return ""
        if whole in found and (streamed in found or not surface.events):
            return "●"
        return "whole" if whole in found else "stream" if streamed in found else "error"

    return table(
        ("Attribute", *(surface.name for surface in SURFACES)),
        (
            (f"`{name}`", *(cell(surface, outcomes[name].get(surface.name, set())) for surface in SURFACES))
            for name in MEANINGS
            if name in outcomes
        ),
    )
