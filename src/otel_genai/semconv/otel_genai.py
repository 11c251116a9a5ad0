"""Attributes of our own namespace: what the conventions have no word for yet."""

from __future__ import annotations

from typing import Final

RESPONSE_TIME_TO_FIRST_TOKEN: Final = "otel_genai.response.time_to_first_token"
"""Seconds from the start to the first generated output. The conventions' first chunk may be one that only names the role."""
PHASE: Final = "otel_genai.phase.{}"
"""Seconds that an operation spent in a phase of this name."""

ENGINE_INDEX: Final = "otel_genai.engine.index"
"""Which of the engines behind one model, where there are several."""

SINCE_PROCESS_START: Final = "otel_genai.since_process_start"
"""Seconds from the start of the process, imports and loading included."""
PIPELINE_TASK: Final = "otel_genai.pipeline.task"

LOAD_FILE_BYTES: Final = "otel_genai.load.file_bytes"
"""Size of the files that were loaded or fetched."""
LOAD_DISK_READ_BYTES: Final = "otel_genai.load.disk_read_bytes"
"""What the process read from storage meanwhile; the rest of the files came out of the page cache."""
LOAD_PAGE_CACHE_BYTES: Final = "otel_genai.load.page_cache_bytes"
LOAD_BYTES_PER_SECOND: Final = "otel_genai.load.bytes_per_second"
LOAD_MEMORY_BYTES: Final = "otel_genai.load.memory_bytes"
"""What the model's parameters and buffers take."""
LOAD_DEVICE: Final = "otel_genai.load.device"
LOAD_DTYPE: Final = "otel_genai.load.dtype"

# ── values of gen_ai.provider.name, where the conventions have none ────────────────────────────────────────────────────

HUGGING_FACE: Final = "huggingface"
VLLM: Final = "vllm"
SIMULATOR: Final = "simulator"

# ── values of gen_ai.operation.name, where none of the conventions' applies ────────────────────────────────────────────

PIPELINE: Final = "pipeline"
BATCH: Final = "batch"
"""Several prompts that an engine in this process is given at once, and answers together."""
LOAD_MODEL: Final = "load_model"
LOAD_TOKENIZER: Final = "load_tokenizer"
MOVE_MODEL: Final = "move_model"
DOWNLOAD: Final = "download"
LOADING: Final = frozenset({LOAD_MODEL, LOAD_TOKENIZER, MOVE_MODEL, DOWNLOAD})
COLD_START: Final = "cold_start"
"""From the start of a process until it has answered the first request."""
OPERATIONS: Final = frozenset({PIPELINE, BATCH, COLD_START, *LOADING})
"""They are no calls of a model's client, and have none of its metrics."""

# ── phases ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

RESOLVE: Final = "resolve"
"""Finding the files of a model; downloading what is missing."""
READ_WEIGHTS: Final = "read_weights"
FINISH_WEIGHTS: Final = "finish_weights"
"""Making what the files lack, tying what is shared."""
DISPATCH: Final = "dispatch"
"""Spreading a model over several devices."""
IMPORT: Final = "import"
"""From the start of a process until it makes its engine."""
START_ENGINE: Final = "start_engine"
AWAIT_REQUEST: Final = "await_request"
"""From an engine that is ready to the first request."""
FIRST_REQUEST: Final = "first_request"
PREPROCESS: Final = "preprocess"
"""From a request's arrival until its engine is asked: parsing, chat template, tokens."""
QUEUE: Final = "queue"
PREFILL: Final = "prefill"
DECODE: Final = "decode"
GENERATE: Final = "generate"
"""Prefill and decode, where nobody tells them apart."""

# ── events ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

FIRST_GENERATION_EVENT: Final = "otel_genai.first_generation"
"""The first inference in the process's own engine that succeeded: from here on, it is of use."""
