"""The records of a GenAI operation. Providers' folders fill them, `telemetry.render` reads them, observers receive them.

Counts are in tokens and times in seconds unless a name says otherwise. `None` means not reported, never zero.
Records never change. The records of every call are named tuples, which are made in a third of a frozen dataclass's time.
Nothing here imports OpenTelemetry or names a provider.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from operator import add
from traceback import format_tb
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_genai.content import Message, Prompt


class Side(StrEnum):
    """The side on which this process stands. It decides the span's kind and the metrics."""

    CLIENT = "client"
    """The model runs in another process and is called over a protocol."""
    INTERNAL = "internal"
    """The model runs in this process, and so does its caller."""
    SERVER = "server"
    """The model runs in this process, for callers in other processes."""


class Request(NamedTuple):
    """A request, without its content."""

    operation: str
    """`gen_ai.operation.name`: chat, text_completion, embeddings, …"""
    provider: str
    """`gen_ai.provider.name`, as far as the instrumentation knows it."""
    model: str | None = None
    side: Side = Side.CLIENT
    function: str | None = None
    """`package.module.Class.method` of a function of the user's that is timed (`OTEL_GENAI_WRAP`). It is no GenAI operation."""
    api: str | None = None
    """`openai.api.type`: the interface that was called, where a provider has several."""
    server_address: str | None = None
    server_port: int | None = None
    stream: bool = False
    choice_count: int | None = None
    choices_due: int | None = None
    """Number of choices in the response, where it is not `choice_count`: a request with several prompts has that many for each."""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop_sequences: tuple[str, ...] | None = None
    seed: int | None = None
    output_type: str | None = None
    """Requested modality: text, json, image or speech."""
    reasoning_level: str | None = None
    service_tier: str | None = None
    conversation_id: str | None = None
    previous_response_id: str | None = None
    response_id: str | None = None
    """Id of the response that the request fetches."""
    prompt_name: str | None = None
    """Name of a prompt template that the provider stores."""
    prompt_version: str | None = None
    stream_cursor: str | None = None
    """Position at which the stream of a fetched response continues."""
    encoding_formats: tuple[str, ...] | None = None
    dimensions: int | None = None
    """Requested dimensions of embeddings."""

    @property
    def kind(self) -> str:
        """The function, or else the operation's name. An operation inside another one of its kind is not reported."""
        return self.function or self.operation


class Usage(NamedTuple):
    """Tokens as the provider counted them. `cache_read`, `cache_write` and `reasoning` are parts of `input` and `output`."""

    input: int | None = None
    """All prompt tokens, cached ones included."""
    output: int | None = None
    """All generated tokens, reasoning included."""
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    input_by_modality: Mapping[str, int] | None = None
    """Input tokens by `text`, `image`, `audio`, where the provider counts them apart."""
    output_by_modality: Mapping[str, int] | None = None


class Response(NamedTuple):
    """A response."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    """Status of a fetched response: queued, in_progress, completed, incomplete, failed or cancelled."""
    conversation_id: str | None = None
    compacted: bool = False
    """Whether the provider replaced the conversation by a summary."""
    dimensions: int | None = None
    """Dimensions of the received embeddings."""
    finish_reasons: tuple[str, ...] = ()
    """One per choice, by position; `error` for a choice that ended without one."""
    usage: Usage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    messages: tuple[Message, ...] = ()
    """One per choice; empty unless content is captured."""
    extra: Mapping[str, str | float] | None = None
    """Further attributes, under names of our own namespace: bytes loaded, a pipeline's task."""


class Phase(NamedTuple):
    """A named part of an operation: queue, prefill, decode. Seconds on the clock of `Timing`."""

    name: str
    started: float
    ended: float


class Timing(NamedTuple):
    """The times of an operation. All but `began_ns` are seconds on one monotonic clock, comparable within the process."""

    began_ns: int
    """Wall clock at `started`, nanoseconds since the epoch."""
    started: float
    ended: float
    chunks: Sequence[float] = ()
    """For every chunk, the moment at which it was received."""
    waits: Sequence[float] = ()
    """For every chunk, the time from the chunk before it (or from the start) until the consumer asked for it; as long as `chunks`.

    They tell a slow consumer from a slow server.
    """
    tokens: Sequence[int] = ()
    """For every chunk, its output tokens; as long as `chunks`, or empty where they are not reported."""
    phases: tuple[Phase, ...] = ()
    """The phases that the engine or the library reported, in order."""
    first_token: float | None = None
    """The moment of the first chunk with generated output. The first chunk of a chat stream has none."""

    @property
    def asked(self) -> list[float]:
        """For every chunk, the moment at which the consumer asked for it."""
        return list(map(add, (self.started, *self.chunks), self.waits))

    @property
    def duration(self) -> float:
        """Seconds from the start to the end of the response, complete or not."""
        return self.ended - self.started

    @property
    def ended_ns(self) -> int:
        """Wall clock at `ended`, nanoseconds since the epoch."""
        return self.wall_ns(self.ended)

    def wall_ns(self, moment: float) -> int:
        """Wall clock at a moment of the monotonic clock, nanoseconds since the epoch."""
        return self.began_ns + round((moment - self.started) * 1e9)

    @property
    def time_to_first_chunk(self) -> float | None:
        """Seconds from the start to the first chunk; `None` without chunks."""
        return self.chunks[0] - self.started if self.chunks else None

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the start to the first generated output; `None` without output or without a stream."""
        return None if self.first_token is None else self.first_token - self.started

    def time_per_output_token(self, output_tokens: int | None, sequences: int = 1) -> float | None:
        """Seconds per output token after the first one, until the end; `None` unless `first_token` and a second token are known.

        `output_tokens` are those of all `sequences`, which are generated side by side.
        """
        first = self.time_to_first_token
        return None if first is None else time_per_output_token(self.duration - first, output_tokens, sequences)


def time_per_output_token(generating: float, output_tokens: int | None, sequences: int = 1) -> float | None:
    """Seconds per output token after the first one; `None` if there is no second one.

    `generating` is the time from the first token to the last. `output_tokens` are those of all `sequences`, generated side by side.
    """
    later_tokens = (output_tokens or 0) / sequences - 1
    return generating / later_tokens if later_tokens > 0 else None


@dataclass(frozen=True, slots=True)
class Failure:
    """The error that an operation ended with."""

    type: str
    """`error.type`, of low cardinality: `openai.RateLimitError`."""
    summary: str
    """One line without content: `RateLimitError 429 rate_limit_exceeded`."""
    message: str | None = None
    """The error's message, which may hold content: `None` unless content is captured."""
    stacktrace: str | None = None
    """The stack trace as Python prints it, with the message: `None` unless content is captured."""

    @classmethod
    def of(cls, error: BaseException, *details: object, message: str | None = None) -> Failure:
        """The failure of an exception. `details` go into the summary and must hold no content. `message` is for captured content only."""
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        return cls(
            type=name,
            summary=" ".join([kind.__name__, *map(str, details)]),
            message=message,
            stacktrace=None if message is None else "".join([*format_tb(error.__traceback__), f"{name}: {message}"]),
        )


class Operation(NamedTuple):
    """One finished GenAI operation: spans, events, metrics, recordings and summaries are made from it."""

    request: Request
    timing: Timing
    response: Response = Response()
    prompt: Prompt | None = None
    """`None` unless content is captured."""
    failure: Failure | None = None
    """`None` for a success, and for an operation that its caller stopped, which is no error."""
    unfinished: bool = False
    """Whether the process ended before the operation did."""


# ── engines ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class EngineStats(NamedTuple):
    """The load of an engine, as it reports it after a step or at any other time.

    A gauge that is `None` keeps the value of the report before. Counts are those since the report before.
    """

    provider: str
    """`gen_ai.provider.name`."""
    model: str | None
    """The model's name in requests."""
    engine_index: int = 0
    """Index of the engine, where a model has several."""
    running: int | None = None
    """Gauge: requests that the engine works on."""
    waiting: int | None = None
    """Gauge: requests that wait for the engine, for any reason."""
    kv_cache_utilization: float | None = None
    """Gauge: the used share of the KV cache, 0 to 1."""
    batch_tokens: int | None = None
    """Tokens computed in the reported step, of prompts and responses; `None` if the report is not of a step."""
    preemptions: int = 0
    """Count: requests that lost their place in the KV cache and will be computed again."""
    prefix_cache_queries: int = 0
    """Count: prompt tokens that were looked up in the prefix cache."""
    prefix_cache_hits: int = 0
    """Count: prompt tokens that were found there."""
