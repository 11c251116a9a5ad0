"""Attributes, values and events of the `gen_ai.*` namespace."""

from __future__ import annotations

from typing import Final

# ── attributes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
OUTPUT_TYPE: Final = "gen_ai.output.type"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
CONVERSATION_COMPACTED: Final = "gen_ai.conversation.compacted"
EMBEDDINGS_DIMENSION_COUNT: Final = "gen_ai.embeddings.dimension.count"

REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_ENCODING_FORMATS: Final = "gen_ai.request.encoding_formats"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_STREAM_CURSOR: Final = "gen_ai.request.stream_cursor"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"

RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_STATUS: Final = "gen_ai.response.status"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"

USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE_INPUT_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
USAGE_MODALITY_INPUT_TOKENS: Final = "gen_ai.usage.{}.input_tokens"
USAGE_MODALITY_OUTPUT_TOKENS: Final = "gen_ai.usage.{}.output_tokens"

INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"

TOKEN_TYPE: Final = "gen_ai.token.type"
"""Metrics of v1.41 only."""
TOKEN_MODALITY: Final = "gen_ai.token.modality"
"""Metrics of the latest vintage only."""

# ── values ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

CHAT: Final = "chat"
EMBEDDINGS: Final = "embeddings"
FETCH_RESPONSE: Final = "fetch_response"
GENERATE_CONTENT: Final = "generate_content"
TEXT_COMPLETION: Final = "text_completion"
MODERATION: Final = "moderation"
"""Not one of the conventions' values, none of which applies; they allow for others."""
INFERENCE: Final = frozenset({CHAT, GENERATE_CONTENT, TEXT_COMPLETION})
"""The operations that the conventions call inference; the latest vintage gives them metrics of their own."""

INPUT: Final = "input"
OUTPUT: Final = "output"
UNKNOWN_MODALITY: Final = "unknown"

STOP: Final = "stop"
LENGTH: Final = "length"
ERROR: Final = "error"
"""The finish reason of a choice that was cut short: none came."""
ABORT: Final = "abort"
"""Engines' finish reason of an aborted sequence; the conventions have no value for it."""

# ── events ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

EXCEPTION_EVENT: Final = "gen_ai.client.operation.exception"
DETAILS_EVENT: Final = "gen_ai.client.inference.operation.details"
