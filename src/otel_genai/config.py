"""Settings: what a user can set, read from the environment once, when instrumentation is switched on, and frozen.

A row of `SETTINGS` is one variable with its parser, its default and its documentation. A bad value is one warning and the default.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, TypeVar

from otel_genai.semconv.metrics import LATEST, V1_41, Vintage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_logger = logging.getLogger("otel_genai")
_Value = TypeVar("_Value")


class Setting(NamedTuple, Generic[_Value]):
    """One environment variable."""

    variable: str
    values: str
    """The values that it takes, as the documentation and the warning show them."""
    shown_default: str
    """The default, as the documentation shows it."""
    meaning: str
    default: _Value
    parse: Callable[[str], _Value]
    """From the variable's text, stripped and not empty. Raises ValueError for a value that the setting does not take."""

    def read(self, environ: Mapping[str, str] = os.environ) -> _Value:
        """The value in force: the default where the variable is unset, empty or bad. A bad value is a warning."""
        text = environ.get(self.variable, "").strip()
        if not text:
            return self.default
        try:
            return self.parse(text)
        except ValueError:
            self.reject(text)
            return self.default

    def reject(self, text: str) -> None:
        """Warn of a bad value."""
        _logger.warning("%s=%r is not understood and ignored. Use: %s", self.variable, text, self.values)


# ── parsers ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _choice(choices: Mapping[str, _Value], text: str) -> _Value:
    if text.lower() not in choices:
        raise ValueError(text)
    return choices[text.lower()]


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(text)
    return int(text)


def _megabytes(text: str) -> int:
    return _whole_number(text) * 1_000_000


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


def _vintages(text: str) -> tuple[Vintage, ...]:
    # All instrumentations share the variable: other words belong to others.
    words = {word.lower() for word in _words(text)}
    if "gen_ai_latest_experimental/dup" in words:
        return (V1_41, LATEST)
    return (LATEST,) if "gen_ai_latest_experimental" in words else (V1_41,)


def _provider_names(text: str) -> Mapping[str, str]:
    names: dict[str, str] = {}
    for pair in _words(text):
        server, _, name = (part.strip() for part in pair.partition("="))
        if server and name:
            names[server] = name
        else:
            PROVIDER_NAMES.reject(pair)
    return names


_boolean = partial(_choice, {"true": True, "false": False})


def _switch(variable: str, meaning: str, *, default: bool) -> Setting[bool]:
    return Setting(variable, "true | false", str(default).lower(), meaning, default, _boolean)


# ── the rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────


CAPTURE_CONTENT: Final = Setting(
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    "NO_CONTENT | SPAN_ONLY | EVENT_ONLY | SPAN_AND_EVENT (also: true, false)",
    "NO_CONTENT",
    "Where prompts and answers are recorded. `true` means SPAN_AND_EVENT.",
    (False, False),
    partial(
        _choice,
        {
            # (on spans, on events)
            "no_content": (False, False),
            "span_only": (True, False),
            "event_only": (False, True),
            "span_and_event": (True, True),
            "true": (True, True),
            "false": (False, False),
        },
    ),
)
CONTENT_LIMIT: Final = Setting(
    "OTEL_GENAI_CONTENT_LENGTH_LIMIT",
    "a number of characters",
    "65536",
    "The longest text recorded of one part of a message; the rest is cut off. Inline images, audio and files above it are left out.",
    65536,
    _whole_number,
)
EMIT_EVENT: Final[Setting[bool | None]] = Setting(
    "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
    "true | false",
    "true if content goes to events, else false",
    "Whether each inference emits the event `gen_ai.client.inference.operation.details`.",
    None,
    _boolean,
)
COMPLETION_HOOK: Final[Setting[str | None]] = Setting(
    "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK",
    "the name of an installed hook, such as `upload`",
    "none",
    "The hook of `opentelemetry-util-genai` that receives every prompt and answer, whatever is captured or sampled.",
    None,
    str,
)
STABILITY: Final[Setting[tuple[Vintage, ...]]] = Setting(
    "OTEL_SEMCONV_STABILITY_OPT_IN",
    "gen_ai_latest_experimental | gen_ai_latest_experimental/dup, in a comma-separated list with others'",
    "metrics of v1.41",
    "Which vintage of metrics is written: the latest instead of v1.41, or (`/dup`) both. Spans and events always follow the latest.",
    (V1_41,),
    _vintages,
)
CHUNK_METRICS: Final = _switch(
    "OTEL_GENAI_CHUNK_METRICS", "Whether the times between the chunks of a stream go into a histogram.", default=True
)
BOUND_METRICS: Final = _switch(
    "OTEL_GENAI_BOUND_METRICS",
    "Whether values go straight to the SDK's histograms, in the versions of the SDK that were "
    "[tested](private-apis.md). `false`: each value goes through the API, which is slower.",
    default=True,
)
PHASE_SPANS: Final = _switch(
    "OTEL_GENAI_PHASE_SPANS",
    "Whether the phases that an engine reports (`queue`, `prefill`, `decode`) are child spans of the operation's. "
    "Phases of a model's loading always are.",
    default=False,
)
ENGINE_STATS: Final = _switch(
    "OTEL_GENAI_ENGINE_STATS",
    "Whether an engine keeps statistics even if its program has left them off, as vLLM's offline default is. "
    "The engine's metrics need them.",
    default=False,
)
VLLM_NATIVE_SPANS: Final = _switch(
    "OTEL_GENAI_VLLM_NATIVE_SPANS",
    "Whether vLLM's own span of each request (`llm_request`, with `--otlp-traces-endpoint`) is made beside ours.",
    default=False,
)
VLLM_PLUGIN: Final = _switch(
    "OTEL_GENAI_VLLM_PLUGIN",
    "Whether our vLLM plug-in instruments a vLLM that another program starts. "
    "It also sets up the SDK, as `otel-genai run` does, unless the program has set one up.",
    default=False,
)
PROVIDER_NAMES: Final[Setting[Mapping[str, str]]] = Setting(
    "OTEL_GENAI_PROVIDER_NAMES",
    "host[:port]=name, in a comma-separated list: `10.0.0.5:8000=vllm,gateway.internal=azure.ai.openai`",
    "none",
    "`gen_ai.provider.name` of your own servers. For other servers it follows from the host name.",
    MappingProxyType({}),
    _provider_names,
)
PROPAGATE: Final = _switch(
    "OTEL_GENAI_PROPAGATE_CONTEXT",
    "Whether requests to model servers carry the trace context in their headers.",
    default=True,
)
RECORD_FILE: Final[Setting[Path | None]] = Setting(
    "OTEL_GENAI_RECORD_FILE",
    "a path: `run.jsonl`",
    "none",
    "The file to which every operation is recorded with its raw times, one line of JSON each. "
    "Other processes write `run.<pid>.jsonl` beside it.",
    None,
    Path,
)
RECORD_LIMIT: Final = Setting(
    "OTEL_GENAI_RECORD_LIMIT",
    "a number of megabytes",
    "1000",
    "The largest size of each such file; further operations are counted and left out.",
    1_000_000_000,
    _megabytes,
)
WRAP: Final[Setting[tuple[str, ...]]] = Setting(
    "OTEL_GENAI_WRAP",
    "package.module:Class.method[=name], in a comma-separated list",
    "none",
    "Functions of any library that are timed too: a span for each call, and the time of each item of a generator.",
    (),
    _words,
)
SETTINGS: Final[tuple[Setting[Any], ...]] = (
    CAPTURE_CONTENT,
    CONTENT_LIMIT,
    EMIT_EVENT,
    COMPLETION_HOOK,
    STABILITY,
    CHUNK_METRICS,
    BOUND_METRICS,
    PHASE_SPANS,
    ENGINE_STATS,
    VLLM_NATIVE_SPANS,
    VLLM_PLUGIN,
    PROVIDER_NAMES,
    PROPAGATE,
    RECORD_FILE,
    RECORD_LIMIT,
    WRAP,
)


# ── the settings in force ──────────────────────────────────────────────────────────────────────────────────────────────


class CompletionHook(Protocol):
    """An object with one method, called with every operation that ends, whatever was sampled or captured.

    The protocol is that of `opentelemetry-util-genai` (1.3b0 `completion_hook.py`).
    """

    def on_completion(
        self,
        *,
        inputs: list[Any],
        outputs: list[Any],
        system_instruction: list[Any],
        tool_definitions: list[Any] | None = None,
        span: Any = None,
        log_record: Any = None,
    ) -> None:
        """`inputs` and `outputs` are messages of `opentelemetry-util-genai`."""


class Config(NamedTuple):
    """The settings in force for one instrumentation."""

    content_on_spans: bool = False
    content_on_events: bool = False
    content_limit: int = CONTENT_LIMIT.default
    """Characters for each part."""
    emit_event: bool = False
    vintages: tuple[Vintage, ...] = STABILITY.default
    chunk_metrics: bool = CHUNK_METRICS.default
    bound_metrics: bool = BOUND_METRICS.default
    """Whether values of a histogram may go straight to the SDK's aggregation."""
    phase_spans: bool = PHASE_SPANS.default
    engine_stats: bool = ENGINE_STATS.default
    """Whether engines keep statistics that their program has left off."""
    native_spans: bool = VLLM_NATIVE_SPANS.default
    """Whether a library's own span of a request is made beside ours."""
    propagate: bool = PROPAGATE.default
    provider: str | None = None
    """Name of every server's provider, whatever its address."""
    provider_names: Mapping[str, str] = PROVIDER_NAMES.default
    """`host` or `host:port` → provider."""
    wrap: tuple[str, ...] = WRAP.default
    """Functions that are timed, as `package.module:Class.method[=name]`."""
    record_file: Path | None = RECORD_FILE.default
    record_limit: int = RECORD_LIMIT.default
    """Bytes."""
    redact: Callable[[str], str] | None = None
    """Applied to every text of prompts, answers and error messages before anything is recorded."""
    completion_hook: CompletionHook | None = None

    @property
    def captures_content(self) -> bool:
        """Whether prompts and answers are recorded anywhere."""
        return self.content_on_spans or self.content_on_events

    def provider_of(self, host: str | None, port: int | None) -> str | None:
        """The name that the user gave to a server; `None` if none."""
        return self.provider or self.provider_names.get(f"{host}:{port}") or self.provider_names.get(host or "")

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] = os.environ,
        *,
        provider: str | None = None,
        redact: Callable[[str], str] | None = None,
        completion_hook: CompletionHook | None = None,
        engine_stats: bool | None = None,
    ) -> Config:
        """The settings of the environment and of the arguments; arguments win.

        The hook that `COMPLETION_HOOK` names is loaded elsewhere: see `telemetry.completion_hook`.
        Raises ValueError for bad arguments.
        """
        if redact is not None and not callable(redact):
            raise ValueError("redact= takes a function from text to text")
        if completion_hook is not None and not hasattr(completion_hook, "on_completion"):
            raise ValueError("completion_hook= takes an object with a method on_completion")
        if engine_stats not in {None, True, False}:
            raise ValueError("engine_stats= takes True or False")
        on_spans, on_events = CAPTURE_CONTENT.read(environ)
        emit_event = EMIT_EVENT.read(environ)
        return cls(
            content_on_spans=on_spans,
            content_on_events=on_events,
            content_limit=CONTENT_LIMIT.read(environ),
            emit_event=on_events if emit_event is None else emit_event,
            vintages=STABILITY.read(environ),
            chunk_metrics=CHUNK_METRICS.read(environ),
            bound_metrics=BOUND_METRICS.read(environ),
            phase_spans=PHASE_SPANS.read(environ),
            engine_stats=ENGINE_STATS.read(environ) if engine_stats is None else engine_stats,
            native_spans=VLLM_NATIVE_SPANS.read(environ),
            propagate=PROPAGATE.read(environ),
            provider=provider,
            provider_names=PROVIDER_NAMES.read(environ),
            wrap=WRAP.read(environ),
            record_file=RECORD_FILE.read(environ),
            record_limit=RECORD_LIMIT.read(environ),
            redact=redact,
            completion_hook=completion_hook,
        )
