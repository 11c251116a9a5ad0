"""Names of our own namespace, for facts that the conventions have no name for yet."""

from __future__ import annotations

from typing import Final

RESPONSE_TIME_TO_FIRST_TOKEN: Final = "otel_genai.response.time_to_first_token"
"""Seconds from the start to the first generated output. The conventions' first chunk may be one that only names the role."""
PHASE: Final = "otel_genai.phase.{}"
"""Seconds that an operation spent in a phase of this name."""

ENGINE_INDEX: Final = "otel_genai.engine.index"
"""Number of the engine, where several are behind one model."""

SINCE_PROCESS_START: Final = "otel_genai.since_process_start"
"""Seconds from the start of the process, imports and loading included."""
PIPELINE_TASK: Final = "otel_genai.pipeline.task"

LOAD_FILE_BYTES: Final = "otel_genai.load.file_bytes"
"""Size of the files that were loaded or fetched."""
LOAD_DISK_READ_BYTES: Final = "otel_genai.load.disk_read_bytes"
"""Bytes that the process read from storage meanwhile; the rest of the files came from the page cache."""
LOAD_PAGE_CACHE_BYTES: Final = "otel_genai.load.page_cache_bytes"
LOAD_BYTES_PER_SECOND: Final = "otel_genai.load.bytes_per_second"
LOAD_MEMORY_BYTES: Final = "otel_genai.load.memory_bytes"
"""Size of the model's parameters and buffers."""
LOAD_DEVICE: Final = "otel_genai.load.device"
LOAD_DTYPE: Final = "otel_genai.load.dtype"

# ── values of gen_ai.provider.name, where the conventions have none ────────────────────────────────────────────────────

HUGGING_FACE: Final = "huggingface"
VLLM: Final = "vllm"
SIMULATOR: Final = "simulator"

# ── values of gen_ai.operation.name, where none of the conventions' applies ────────────────────────────────────────────

PIPELINE: Final = "pipeline"
BATCH: Final = "batch"
"""Several prompts that are passed to an engine in this process at once, and answered together."""
LOAD_MODEL: Final = "load_model"
LOAD_TOKENIZER: Final = "load_tokenizer"
MOVE_MODEL: Final = "move_model"
DOWNLOAD: Final = "download"
LOADING: Final = frozenset({LOAD_MODEL, LOAD_TOKENIZER, MOVE_MODEL, DOWNLOAD})
COLD_START: Final = "cold_start"
"""From the start of a process to its first answered request."""
OPERATIONS: Final = frozenset({PIPELINE, BATCH, COLD_START, *LOADING})
"""Operations that are not calls of a model, and have none of its metrics."""

# ── phases ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

RESOLVE: Final = "resolve"
"""Finding the files of a model; downloading what is missing."""
READ_WEIGHTS: Final = "read_weights"
FINISH_WEIGHTS: Final = "finish_weights"
"""Initializing weights that the files lack, tying shared ones."""
DISPATCH: Final = "dispatch"
"""Spreading a model over several devices."""
IMPORT: Final = "import"
"""From the start of a process to the creation of its engine."""
START_ENGINE: Final = "start_engine"
AWAIT_REQUEST: Final = "await_request"
"""From an engine that is ready to the first request."""
FIRST_REQUEST: Final = "first_request"
PREPROCESS: Final = "preprocess"
"""From a request's arrival to its submission to the engine: parsing, chat template, tokenization."""
QUEUE: Final = "queue"
PREFILL: Final = "prefill"
DECODE: Final = "decode"
GENERATE: Final = "generate"
"""Prefill and decode, where the engine does not report them separately."""

# ── events ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

FIRST_GENERATION_EVENT: Final = "otel_genai.first_generation"
"""The first successful inference by an engine of this process: from then on, the process serves."""
