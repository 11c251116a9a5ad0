"""What a user can set: read from the environment once, when instrumentation is switched on, and frozen.

`SETTINGS` documents every variable; a value that nobody understands is one warning and the default.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from otel_genai.semconv.metrics import LATEST, V1_41, Vintage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from otel_genai.telemetry.completion_hook import CompletionHook

_logger = logging.getLogger("otel_genai")
_Value = TypeVar("_Value")


class Setting(NamedTuple):
    """One environment variable, as the documentation shows it."""

    variable: str
    values: str
    default: str
    meaning: str


CAPTURE_CONTENT: Final = Setting(
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    "NO_CONTENT | SPAN_ONLY | EVENT_ONLY | SPAN_AND_EVENT (also: true, false)",
    "NO_CONTENT",
    "Where prompts and answers are recorded. `true` means SPAN_AND_EVENT.",
)
EMIT_EVENT: Final = Setting(
    "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
    "true | false",
    "true if content goes to events, else false",
    "Whether each inference emits the event `gen_ai.client.inference.operation.details`.",
)
STABILITY: Final = Setting(
    "OTEL_SEMCONV_STABILITY_OPT_IN",
    "gen_ai_latest_experimental | gen_ai_latest_experimental/dup, in a comma-separated list with others'",
    "metrics of v1.41",
    "Which vintage of metrics is written: the latest instead of v1.41, or (`/dup`) both. Spans and events always follow the latest.",
)
CONTENT_LIMIT: Final = Setting(
    "OTEL_GENAI_CONTENT_LENGTH_LIMIT",
    "a number of characters",
    "65536",
    "Longest text recorded of one part of a message; the rest is cut off. Inline images, audio and files above it are left out.",
)
COMPLETION_HOOK: Final = Setting(
    "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK",
    "the name of an installed hook, such as `upload`",
    "none",
    "Gives every prompt and answer to a hook of `opentelemetry-util-genai`, whatever is captured or sampled.",
)
PROVIDER_NAMES: Final = Setting(
    "OTEL_GENAI_PROVIDER_NAMES",
    "host[:port]=name, in a comma-separated list: `10.0.0.5:8000=vllm,gateway.internal=azure.ai.openai`",
    "none",
    "What `gen_ai.provider.name` is for servers of your own. Others are told by their host name.",
)
CHUNK_METRICS: Final = Setting(
    "OTEL_GENAI_CHUNK_METRICS",
    "true | false",
    "true",
    "Whether the times between the chunks of a stream go into a histogram.",
)
PHASE_SPANS: Final = Setting(
    "OTEL_GENAI_PHASE_SPANS",
    "true | false",
    "false",
    "Whether phases that an engine tells of (`queue`, `prefill`, `decode`) are spans beneath the operation's. Those of loading always are.",
)
ENGINE_STATS: Final = Setting(
    "OTEL_GENAI_ENGINE_STATS",
    "true | false",
    "false",
    "Whether an engine keeps statistics even if its program has left them off, as vLLM's offline default is: they tell its load.",
)
VLLM_NATIVE_SPANS: Final = Setting(
    "OTEL_GENAI_VLLM_NATIVE_SPANS",
    "true | false",
    "false",
    "Whether vLLM's own span of each request (`llm_request`, with `--otlp-traces-endpoint`) is made beside ours.",
)
VLLM_PLUGIN: Final = Setting(
    "OTEL_GENAI_VLLM_PLUGIN",
    "true | false",
    "false",
    "Whether a vLLM that was started without us is instrumented by its plug-in; where nobody has set an SDK up, as under `otel-genai run`.",
)
PROPAGATE: Final = Setting(
    "OTEL_GENAI_PROPAGATE_CONTEXT",
    "true | false",
    "true",
    "Whether requests to model servers carry the trace context in their headers.",
)
RECORD_FILE: Final = Setting(
    "OTEL_GENAI_RECORD_FILE",
    "a path: `run.jsonl`",
    "none",
    "Where every operation is recorded with its raw times, a line of JSON each. Other processes write `run.<pid>.jsonl` beside it.",
)
RECORD_LIMIT: Final = Setting(
    "OTEL_GENAI_RECORD_LIMIT",
    "a number of megabytes",
    "1000",
    "How large each such file may become; further operations are counted and left out.",
)
WRAP: Final = Setting(
    "OTEL_GENAI_WRAP",
    "package.module:Class.method[=name], in a comma-separated list",
    "none",
    "Functions of any library that are to be timed, too: a span for each call, and when each item of a generator came.",
)
SETTINGS: Final = (
    CAPTURE_CONTENT,
    CONTENT_LIMIT,
    EMIT_EVENT,
    COMPLETION_HOOK,
    STABILITY,
    CHUNK_METRICS,
    PHASE_SPANS,
    ENGINE_STATS,
    VLLM_NATIVE_SPANS,
    VLLM_PLUGIN,
    PROVIDER_NAMES,
    PROPAGATE,
    RECORD_FILE,
    RECORD_LIMIT,
)

# (on spans, on events)
_CAPTURE_MODES: Final = {
    "no_content": (False, False),
    "span_only": (True, False),
    "event_only": (False, True),
    "span_and_event": (True, True),
    "true": (True, True),
    "false": (False, False),
}
_BOOLEANS: Final = {"true": True, "false": False}


class Config(NamedTuple):
    """The settings in force for one instrumentation."""

    content_on_spans: bool = False
    content_on_events: bool = False
    content_limit: int = 65536
    """Characters for each part."""
    emit_event: bool = False
    vintages: tuple[Vintage, ...] = (V1_41,)
    chunk_metrics: bool = True
    phase_spans: bool = False
    engine_stats: bool = False
    """Whether engines keep statistics whose program has left them off."""
    native_spans: bool = False
    """Whether a library's own span of a request is made beside ours."""
    propagate: bool = True
    provider: str | None = None
    """Name of every server's provider, whatever its address."""
    provider_names: Mapping[str, str] = MappingProxyType({})
    """`host` or `host:port` → provider."""
    wrap: tuple[str, ...] = ()
    """Functions to be timed, as `package.module:Class.method[=name]`."""
    record_file: Path | None = None
    record_limit: int = 1_000_000_000
    """Bytes."""
    redact: Callable[[str], str] | None = None
    """Applied to every text of prompts, answers and error messages before anything is recorded."""
    completion_hook: CompletionHook | None = None

    @property
    def captures_content(self) -> bool:
        """Whether prompts and answers are wanted anywhere."""
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
        """The settings that the variables in `SETTINGS` and the arguments ask for; arguments win.

        Raises ValueError for arguments that cannot be used.
        """
        if redact is not None and not callable(redact):
            raise ValueError("redact= takes a function from text to text")
        if completion_hook is not None and not hasattr(completion_hook, "on_completion"):
            raise ValueError("completion_hook= takes an object with a method on_completion")
        if engine_stats not in {None, True, False}:
            raise ValueError("engine_stats= takes True or False")
        hook_name = environ.get(COMPLETION_HOOK.variable, "").strip()
        if completion_hook is not None or hook_name:
            from otel_genai.telemetry import completion_hook as hooks

            if completion_hook is None:
                completion_hook = hooks.load(hook_name)
            elif not hooks.supported():
                raise ValueError(
                    "completion_hook= needs opentelemetry-util-genai: pip install opentelemetry-util-genai"
                )
        on_spans, on_events = _choice(environ, CAPTURE_CONTENT, _CAPTURE_MODES, (False, False))
        return cls(
            content_on_spans=on_spans,
            content_on_events=on_events,
            content_limit=_whole_number(environ, CONTENT_LIMIT),
            emit_event=_choice(environ, EMIT_EVENT, _BOOLEANS, on_events),
            vintages=_vintages(environ.get(STABILITY.variable, "")),
            chunk_metrics=_choice(environ, CHUNK_METRICS, _BOOLEANS, True),
            phase_spans=_choice(environ, PHASE_SPANS, _BOOLEANS, False),
            engine_stats=_choice(environ, ENGINE_STATS, _BOOLEANS, False) if engine_stats is None else engine_stats,
            native_spans=_choice(environ, VLLM_NATIVE_SPANS, _BOOLEANS, False),
            propagate=_choice(environ, PROPAGATE, _BOOLEANS, True),
            provider=provider,
            provider_names=_provider_names(environ),
            wrap=tuple(_listed(environ, WRAP)),
            record_file=_path(environ, RECORD_FILE),
            record_limit=_whole_number(environ, RECORD_LIMIT) * 1_000_000,
            redact=redact,
            completion_hook=completion_hook,
        )


def vllm_plugin_is_wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether vLLM's plug-in is switched on: nothing else is, without somebody's call."""
    return _choice(environ, VLLM_PLUGIN, _BOOLEANS, False)


def _choice(environ: Mapping[str, str], setting: Setting, choices: Mapping[str, _Value], default: _Value) -> _Value:
    value = environ.get(setting.variable, "").strip()
    if not value:
        return default
    try:
        return choices[value.lower()]
    except KeyError:
        _ignore(setting, value)
        return default


def _whole_number(environ: Mapping[str, str], setting: Setting) -> int:
    value = environ.get(setting.variable, "").strip()
    if value and not value.isdecimal():
        _ignore(setting, value)
        value = ""
    return int(value or setting.default)


def _path(environ: Mapping[str, str], setting: Setting) -> Path | None:
    value = environ.get(setting.variable, "").strip()
    return Path(value) if value else None


def _listed(environ: Mapping[str, str], setting: Setting) -> Iterator[str]:
    return filter(None, map(str.strip, environ.get(setting.variable, "").split(",")))


def _provider_names(environ: Mapping[str, str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for pair in _listed(environ, PROVIDER_NAMES):
        server, _, name = (part.strip() for part in pair.partition("="))
        if server and name:
            names[server] = name
        else:
            _ignore(PROVIDER_NAMES, pair)
    return names


def _ignore(setting: Setting, value: str) -> None:
    _logger.warning("%s=%r is not understood and ignored. Use: %s", setting.variable, value, setting.values)


def _vintages(opt_in: str) -> tuple[Vintage, ...]:
    # The variable is shared by all instrumentations: words that are not ours belong to others.
    words = {word.strip().lower() for word in opt_in.split(",")}
    if "gen_ai_latest_experimental/dup" in words:
        return (V1_41, LATEST)
    return (LATEST,) if "gen_ai_latest_experimental" in words else (V1_41,)
