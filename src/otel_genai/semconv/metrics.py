"""The two vintages of metrics: which measure becomes which instrument, under which name.

The conventions renamed the inference metrics after v1.41, the last version published in the core repository, and replaced the token
histogram by counters. A vintage is a table: the writer goes through its rows and does not depend on the vintage.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from collections.abc import Mapping


class Measure(StrEnum):
    """The quantities that are measured of one operation, whatever a convention calls them."""

    DURATION = auto()
    TIME_TO_FIRST_CHUNK = auto()
    TIME_PER_OUTPUT_CHUNK = auto()
    """One value for each chunk after the first: from the end of the chunk before to its own."""
    TIME_TO_FIRST_TOKEN = auto()
    """Of successful operations: waiting and prefill."""
    TIME_PER_OUTPUT_TOKEN = auto()
    """Of successful operations: the mean over the tokens after the first."""
    INPUT_TOKENS = auto()
    OUTPUT_TOKENS = auto()
    INPUT_TOKENS_BY_MODALITY = auto()
    OUTPUT_TOKENS_BY_MODALITY = auto()
    CACHE_READ_TOKENS_BY_MODALITY = auto()
    CACHE_WRITE_TOKENS_BY_MODALITY = auto()
    REASONING_TOKENS_BY_MODALITY = auto()
    QUEUE_DURATION = auto()
    """Of complete operations, as the engine reports it; so are the next two."""
    PREFILL_DURATION = auto()
    DECODE_DURATION = auto()


class Kind(Enum):
    """Instrument kinds."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One row: a measure of some operations, and the instrument it goes to."""

    measure: Measure
    name: str
    unit: str
    description: str
    kind: Kind = Kind.HISTOGRAM
    buckets: tuple[float, ...] = ()
    attributes: Mapping[str, str] = MappingProxyType({})
    """Fixed attributes, beside those that every client metric has."""
    inference: bool | None = None
    """True: inference operations only. False: all others only. None: all."""
    served: bool = False
    """Whether it is the model server's metric, and not the client's."""


class EngineMetric(NamedTuple):
    """One row: a field of an engine's statistics, and its instrument."""

    field: str
    """Of `EngineStats`."""
    name: str
    kind: Kind
    unit: str
    description: str
    buckets: tuple[float, ...] = ()


class Vintage(NamedTuple):
    """One version of the metric conventions."""

    schema_url: str
    metrics: tuple[Metric, ...]


SECONDS: Final = "s"
TOKENS: Final = "{token}"
REQUESTS: Final = "{request}"
RATIO: Final = "1"
DURATION_BUCKETS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_BUCKETS: Final = (
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
)  # fmt: skip

FIRST_TOKEN_BUCKETS: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
OUTPUT_TOKEN_BUCKETS: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
PHASE_BUCKETS: Final = (0.001, 0.0025, 0.005, *DURATION_BUCKETS, 163.84, 327.68)
"""From an idle engine, which takes a request at once, to a saturated one, in whose queue it waits for minutes."""
BATCH_BUCKETS: Final = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
"""Those of vLLM's `vllm:iteration_tokens_total`, so that the two can be compared."""

_SERVER: Final = (
    Metric(
        measure=Measure.DURATION,
        name="gen_ai.server.request.duration",
        unit=SECONDS,
        description="Time from a request's arrival to its last token.",
        buckets=DURATION_BUCKETS,
        served=True,
    ),
    Metric(
        measure=Measure.TIME_TO_FIRST_TOKEN,
        name="gen_ai.server.time_to_first_token",
        unit=SECONDS,
        description="Time from a request's arrival to its first token, of successful requests.",
        buckets=FIRST_TOKEN_BUCKETS,
        inference=True,
        served=True,
    ),
    Metric(
        measure=Measure.TIME_PER_OUTPUT_TOKEN,
        name="gen_ai.server.time_per_output_token",
        unit=SECONDS,
        description="Mean time for each token after the first, of successful requests.",
        buckets=OUTPUT_TOKEN_BUCKETS,
        inference=True,
        served=True,
    ),
    Metric(
        measure=Measure.QUEUE_DURATION,
        name="otel_genai.engine.queue.duration",
        unit=SECONDS,
        description="Time that a request waited for its engine.",
        buckets=PHASE_BUCKETS,
        served=True,
    ),
    Metric(
        measure=Measure.PREFILL_DURATION,
        name="otel_genai.engine.prefill.duration",
        unit=SECONDS,
        description="Time from a request's being scheduled to its first token.",
        buckets=PHASE_BUCKETS,
        served=True,
    ),
    Metric(
        measure=Measure.DECODE_DURATION,
        name="otel_genai.engine.decode.duration",
        unit=SECONDS,
        description="Time from a request's first token to its last.",
        buckets=PHASE_BUCKETS,
        served=True,
    ),
)
"""The same in both vintages."""

ENGINE_METRICS: Final = (
    EngineMetric(
        field="running",
        name="otel_genai.engine.requests.running",
        kind=Kind.GAUGE,
        unit=REQUESTS,
        description="Requests that the engine works on.",
    ),
    EngineMetric(
        field="waiting",
        name="otel_genai.engine.requests.waiting",
        kind=Kind.GAUGE,
        unit=REQUESTS,
        description="Requests that wait for the engine.",
    ),
    EngineMetric(
        field="kv_cache_utilization",
        name="otel_genai.engine.kv_cache.utilization",
        kind=Kind.GAUGE,
        unit=RATIO,
        description="Share of the KV cache that is in use.",
    ),
    EngineMetric(
        field="batch_tokens",
        name="otel_genai.engine.batch.tokens",
        kind=Kind.HISTOGRAM,
        unit=TOKENS,
        description="Tokens that one step of the engine computed, of prompts and answers.",
        buckets=BATCH_BUCKETS,
    ),
    EngineMetric(
        field="preemptions",
        name="otel_genai.engine.preemptions",
        kind=Kind.COUNTER,
        unit="{preemption}",
        description="Times that a request lost its place in the KV cache to others, to be computed anew.",
    ),
    EngineMetric(
        field="prefix_cache_queries",
        name="otel_genai.engine.prefix_cache.queries",
        kind=Kind.COUNTER,
        unit=TOKENS,
        description="Prompt tokens that were looked up in the prefix cache.",
    ),
    EngineMetric(
        field="prefix_cache_hits",
        name="otel_genai.engine.prefix_cache.hits",
        kind=Kind.COUNTER,
        unit=TOKENS,
        description="Prompt tokens that were found in the prefix cache.",
    ),
)
"""Of no vintage: the conventions have no metric for an engine's load."""

_TOKEN_USAGE: Final = "gen_ai.client.token.usage"
_TOKEN_USAGE_DESCRIPTION: Final = "Number of input and output tokens used."

V1_41: Final = Vintage(
    schema_url="https://opentelemetry.io/schemas/1.41.0",
    metrics=(
        *_SERVER,
        Metric(
            measure=Measure.DURATION,
            name="gen_ai.client.operation.duration",
            unit=SECONDS,
            description="GenAI operation duration.",
            buckets=DURATION_BUCKETS,
        ),
        Metric(
            measure=Measure.TIME_TO_FIRST_CHUNK,
            name="gen_ai.client.operation.time_to_first_chunk",
            unit=SECONDS,
            description="Time from issuing a streaming request to its first chunk.",
            buckets=DURATION_BUCKETS,
        ),
        Metric(
            measure=Measure.TIME_PER_OUTPUT_CHUNK,
            name="gen_ai.client.operation.time_per_output_chunk",
            unit=SECONDS,
            description="Time from the end of one chunk of a stream to the end of the next.",
            buckets=DURATION_BUCKETS,
        ),
        Metric(
            measure=Measure.INPUT_TOKENS,
            name=_TOKEN_USAGE,
            unit=TOKENS,
            description=_TOKEN_USAGE_DESCRIPTION,
            buckets=TOKEN_BUCKETS,
            attributes={gen_ai.TOKEN_TYPE: gen_ai.INPUT},
        ),
        Metric(
            measure=Measure.OUTPUT_TOKENS,
            name=_TOKEN_USAGE,
            unit=TOKENS,
            description=_TOKEN_USAGE_DESCRIPTION,
            buckets=TOKEN_BUCKETS,
            attributes={gen_ai.TOKEN_TYPE: gen_ai.OUTPUT},
        ),
    ),
)

LATEST: Final = Vintage(
    schema_url="https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
    metrics=(
        *_SERVER,
        Metric(
            measure=Measure.DURATION,
            name="gen_ai.client.inference.duration",
            unit=SECONDS,
            description="GenAI inference duration.",
            buckets=DURATION_BUCKETS,
            inference=True,
        ),
        Metric(
            measure=Measure.DURATION,
            name="gen_ai.client.operation.duration",
            unit=SECONDS,
            description="Duration of a GenAI operation other than inference.",
            buckets=DURATION_BUCKETS,
            inference=False,
        ),
        Metric(
            measure=Measure.TIME_TO_FIRST_CHUNK,
            name="gen_ai.client.inference.time_to_first_chunk",
            unit=SECONDS,
            description="Time from issuing a streaming request to its first chunk.",
            buckets=DURATION_BUCKETS,
            inference=True,
        ),
        Metric(
            measure=Measure.TIME_PER_OUTPUT_CHUNK,
            name="gen_ai.client.inference.time_per_output_chunk",
            unit=SECONDS,
            description="Time from the end of one chunk of a stream to the end of the next.",
            buckets=DURATION_BUCKETS,
            inference=True,
        ),
        Metric(
            measure=Measure.INPUT_TOKENS_BY_MODALITY,
            name="gen_ai.client.inference.usage.input_tokens",
            kind=Kind.COUNTER,
            unit=TOKENS,
            description="Input tokens used, cached ones included.",
            inference=True,
        ),
        Metric(
            measure=Measure.OUTPUT_TOKENS_BY_MODALITY,
            name="gen_ai.client.inference.usage.output_tokens",
            kind=Kind.COUNTER,
            unit=TOKENS,
            description="Output tokens used, reasoning included.",
            inference=True,
        ),
        Metric(
            measure=Measure.CACHE_READ_TOKENS_BY_MODALITY,
            name="gen_ai.client.inference.usage.cache_read.input_tokens",
            kind=Kind.COUNTER,
            unit=TOKENS,
            description="Input tokens that were served from a cache.",
            inference=True,
        ),
        Metric(
            measure=Measure.CACHE_WRITE_TOKENS_BY_MODALITY,
            name="gen_ai.client.inference.usage.cache_write.input_tokens",
            kind=Kind.COUNTER,
            unit=TOKENS,
            description="Input tokens that were written to a cache.",
            inference=True,
        ),
        Metric(
            measure=Measure.REASONING_TOKENS_BY_MODALITY,
            name="gen_ai.client.inference.usage.reasoning.output_tokens",
            kind=Kind.COUNTER,
            unit=TOKENS,
            description="Output tokens that were spent on reasoning.",
            inference=True,
        ),
        Metric(
            measure=Measure.INPUT_TOKENS,
            name="gen_ai.client.inference.operation.input_tokens",
            unit=TOKENS,
            description="Input tokens of one inference operation.",
            buckets=TOKEN_BUCKETS,
            inference=True,
        ),
        Metric(
            measure=Measure.OUTPUT_TOKENS,
            name="gen_ai.client.inference.operation.output_tokens",
            unit=TOKENS,
            description="Output tokens of one inference operation.",
            buckets=TOKEN_BUCKETS,
            inference=True,
        ),
    ),
)
