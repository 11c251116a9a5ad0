"""The package's own vocabulary: what one GenAI operation is, in records that never change once made.

What every call makes anew is a named tuple, which takes a third of the time of a frozen dataclass to make; content is dataclasses.

Nothing here knows OpenTelemetry or any provider. Provider rooms fill these records, `render` reads them, observers receive them.
Counts are in tokens and times in seconds unless a name says otherwise; `None` means that nobody told us, never zero.
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
    """Where this process stands: it decides the span's kind and which metrics are written."""

    CLIENT = "client"
    """The model runs elsewhere and is called over a protocol."""
    INTERNAL = "internal"
    """The model runs in this very process."""
    SERVER = "server"
    """This process answers others' requests for a model."""


class Request(NamedTuple):
    """What was asked for, without its content."""

    operation: str
    """`gen_ai.operation.name`: chat, text_completion, embeddings, …"""
    provider: str
    """`gen_ai.provider.name`, as well as the instrumentation can know it."""
    model: str | None = None
    side: Side = Side.CLIENT
    function: str | None = None
    """`package.module.Class.method` of a function that the user has us time: no GenAI operation, it has a name and times alone."""
    api: str | None = None
    """Which of the provider's interfaces was called, for providers with several."""
    server_address: str | None = None
    server_port: int | None = None
    stream: bool = False
    choice_count: int | None = None
    choices_due: int | None = None
    """Choices that the answer will have, where that is not `choice_count`: that many for each of several prompts."""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop_sequences: tuple[str, ...] | None = None
    seed: int | None = None
    output_type: str | None = None
    """Asked-for modality: text, json, image or speech."""
    reasoning_level: str | None = None
    service_tier: str | None = None
    conversation_id: str | None = None
    previous_response_id: str | None = None
    response_id: str | None = None
    """Of the response that is fetched."""
    prompt_name: str | None = None
    """Of a prompt template that the provider keeps."""
    prompt_version: str | None = None
    stream_cursor: str | None = None
    """Where a response that is fetched as a stream continues."""
    encoding_formats: tuple[str, ...] | None = None
    dimensions: int | None = None
    """Of the embeddings asked for."""

    @property
    def kind(self) -> str:
        """What it is: the function, or else the operation. What happens inside of its like is not reported again."""
        return self.function or self.operation


class Usage(NamedTuple):
    """Tokens as the provider counted them. A part is a subset of its whole; what was not told stays `None`."""

    input: int | None = None
    """All prompt tokens, cached ones included."""
    output: int | None = None
    """All generated tokens, reasoning included."""
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    input_by_modality: Mapping[str, int] | None = None
    """Input tokens by `text`, `image`, `audio`, where the provider tells them apart."""
    output_by_modality: Mapping[str, int] | None = None


class Response(NamedTuple):
    """What came back."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    """Of a response that was fetched: queued, in_progress, completed, incomplete, failed or cancelled."""
    conversation_id: str | None = None
    compacted: bool = False
    """Whether the conversation was replaced by a shorter account of it."""
    dimensions: int | None = None
    """Of the embeddings received."""
    finish_reasons: tuple[str, ...] = ()
    """One a choice, by position; `error` where a reason was due and did not come."""
    usage: Usage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    messages: tuple[Message, ...] = ()
    """One a choice; empty unless content was asked for."""
    extra: Mapping[str, str | float] | None = None
    """What else the library tells, by names of our own namespace: bytes loaded, a pipeline's task."""


class Phase(NamedTuple):
    """A part of an operation that has a name: waiting in a queue, reading the prompt, generating. Seconds on the operation's clock."""

    name: str
    started: float
    ended: float


class Timing(NamedTuple):
    """When it happened. All but `began_ns` are seconds on one monotonic clock, comparable within the process."""

    began_ns: int
    """Wall clock at `started`, nanoseconds since the epoch: the anchor for everything else."""
    started: float
    ended: float
    chunks: Sequence[float] = ()
    """For every chunk, when it arrived."""
    waits: Sequence[float] = ()
    """For every chunk, how long after the one before it (or after the start) the consumer asked for it; as long as `chunks`.

    A slow consumer and a slow server differ here.
    """
    tokens: Sequence[int] = ()
    """For every chunk, how many output tokens it brought; as long as `chunks`, or empty where nobody told."""
    phases: tuple[Phase, ...] = ()
    """What the engine says of itself, in order."""
    first_token: float | None = None
    """When the first chunk arrived that carried generated output; chat streams open with one that carries none."""

    @property
    def asked(self) -> list[float]:
        """For every chunk, when the consumer asked for it."""
        return list(map(add, (self.started, *self.chunks), self.waits))

    @property
    def duration(self) -> float:
        """Seconds from the start until the response was fully received, or given up."""
        return self.ended - self.started

    @property
    def ended_ns(self) -> int:
        """Wall clock at `ended`, nanoseconds since the epoch."""
        return self.wall_ns(self.ended)

    def wall_ns(self, moment: float) -> int:
        """Wall clock at a moment of the operation's clock, nanoseconds since the epoch."""
        return self.began_ns + round((moment - self.started) * 1e9)

    @property
    def time_to_first_chunk(self) -> float | None:
        """Seconds from the start to the first chunk; `None` if none came."""
        return self.chunks[0] - self.started if self.chunks else None

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the start to the first generated output; `None` if none came or nothing was streamed."""
        return None if self.first_token is None else self.first_token - self.started


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an operation failed."""

    type: str
    """Low-cardinality, fit for `error.type`: `openai.RateLimitError`."""
    summary: str
    """One line that repeats nothing of what was asked or answered: `RateLimitError 429 rate_limit_exceeded`."""
    message: str | None = None
    """The error's own words, which may repeat content: `None` unless content was captured."""
    stacktrace: str | None = None
    """As Python prints it, message included: `None` unless content was captured."""

    @classmethod
    def of(cls, error: BaseException, *details: object, message: str | None = None) -> Failure:
        """What an exception says. `details` are words that are safe to repeat; `message` is given if content is wanted."""
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        return cls(
            type=name,
            summary=" ".join([kind.__name__, *map(str, details)]),
            message=message,
            stacktrace=None if message is None else "".join([*format_tb(error.__traceback__), f"{name}: {message}"]),
        )


class Operation(NamedTuple):
    """One finished GenAI operation: everything that spans, events, metrics, recordings and summaries are made from."""

    request: Request
    timing: Timing
    response: Response = Response()
    prompt: Prompt | None = None
    """`None` unless content was captured."""
    failure: Failure | None = None
    """`None` if it succeeded, and also if the caller stopped it early: that is not an error."""
    unfinished: bool = False
    """Whether the process came to its end first, so that nobody knows how it would have ended."""


# ── an engine ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class EngineStats(NamedTuple):
    """How busy an engine is, as it tells of itself, after a step or whenever it likes.

    A state that is `None` is not told this time: what was told last holds. What is counted is counted since the report before.
    """

    provider: str
    """As `Request.provider`."""
    model: str | None
    """As its users call it."""
    engine_index: int = 0
    """Which of the engines behind one model, where there are several."""
    running: int | None = None
    """Requests that it works on now."""
    waiting: int | None = None
    """Requests that wait for it now, for whatever reason."""
    kv_cache_utilization: float | None = None
    """Share of the KV cache that is in use now, 0 to 1."""
    batch_tokens: int | None = None
    """Tokens computed in the step that is reported, of prompts and answers; `None` if none is."""
    preemptions: int = 0
    prefix_cache_queries: int = 0
    """Prompt tokens looked up."""
    prefix_cache_hits: int = 0
    """Prompt tokens found."""
