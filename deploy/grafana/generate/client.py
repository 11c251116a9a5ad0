"""What applications see of the models that they call: OpenTelemetry's metrics, through the collector."""

from __future__ import annotations

from panels import Dashboard, Panel, Query, Row, Variable
from promql import (
    CLIENT_CHUNK,
    CLIENT_DURATION,
    CLIENT_FIRST_CHUNK,
    CLIENT_TOKENS,
    TOKENS,
    TOKENS_PER_SECOND,
    mean,
    quantile,
    quantiles,
    rate,
)

SELECTED = 'gen_ai_provider_name=~"$provider", gen_ai_request_model=~"$model"'

CLIENT = Dashboard(
    uid="genai-client",
    title="GenAI client",
    description="What applications see of the models that they call.",
    variables=(
        Variable("provider", "Provider", f"{CLIENT_DURATION}_count", "gen_ai_provider_name"),
        Variable("model", "Model", f"{CLIENT_DURATION}_count", "gen_ai_request_model"),
    ),
    rows=(
        Row(
            "Calls",
            (
                Panel(
                    title="Calls",
                    description="Finished calls a second, by operation, model and provider. Retries are part of their call.",
                    unit="reqps",
                    queries=(
                        Query(
                            rate(
                                f"{CLIENT_DURATION}_count",
                                SELECTED,
                                "gen_ai_operation_name",
                                "gen_ai_request_model",
                                "gen_ai_provider_name",
                            ),
                            "{{gen_ai_operation_name}} {{gen_ai_request_model}} ({{gen_ai_provider_name}})",
                        ),
                    ),
                ),
                Panel(
                    title="Failed calls",
                    description="Share of the calls of the last five minutes that ended in an error. What the caller stopped is none.",
                    unit="percentunit",
                    maximum=1,
                    threshold=0.05,
                    queries=(
                        Query(
                            f"model:genai_client_errors:ratio_rate5m{{{SELECTED}}}",
                            "{{gen_ai_request_model}} ({{gen_ai_provider_name}})",
                        ),
                    ),
                ),
                Panel(
                    title="Errors by type",
                    description="Failed calls a second: HTTP status, or the class of the exception.",
                    unit="reqps",
                    stacked=True,
                    queries=(
                        Query(
                            rate(f"{CLIENT_DURATION}_count", f'{SELECTED}, error_type!=""', "error_type"),
                            "{{error_type}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Latency",
            (
                Panel(
                    title="Duration",
                    description="From the call to the last chunk. The dots are calls: one leads to its trace.",
                    unit="s",
                    exemplars=True,
                    queries=quantiles(CLIENT_DURATION, SELECTED),
                ),
                Panel(
                    title="Time to first chunk",
                    description="What a person waits until an answer begins. Streamed calls only. The dots lead to traces.",
                    unit="s",
                    exemplars=True,
                    queries=quantiles(CLIENT_FIRST_CHUNK, SELECTED),
                ),
                Panel(
                    title="Inter-token latency",
                    description="Time between one chunk and the next, as the client receives them.",
                    unit="s",
                    exemplars=True,
                    queries=quantiles(CLIENT_CHUNK, SELECTED),
                ),
                Panel(
                    title="Duration by model, p95",
                    description="One call in twenty takes longer.",
                    unit="s",
                    queries=(
                        Query(
                            quantile(0.95, CLIENT_DURATION, SELECTED, "gen_ai_request_model", "gen_ai_provider_name"),
                            "{{gen_ai_request_model}} ({{gen_ai_provider_name}})",
                        ),
                    ),
                ),
                Panel(
                    title="Time to first chunk by model, p95",
                    description="One streamed call in twenty waits longer for its beginning.",
                    unit="s",
                    queries=(
                        Query(
                            quantile(
                                0.95, CLIENT_FIRST_CHUNK, SELECTED, "gen_ai_request_model", "gen_ai_provider_name"
                            ),
                            "{{gen_ai_request_model}} ({{gen_ai_provider_name}})",
                        ),
                    ),
                ),
                Panel(
                    title="Time to first chunk, distribution",
                    description="How many streamed calls fell into each bucket: two stripes are two kinds of calls.",
                    unit="s",
                    kind="heatmap",
                    exemplars=True,
                    queries=(
                        Query(
                            f"sum by (le) (increase({CLIENT_FIRST_CHUNK}_bucket{{{SELECTED}}}[$__rate_interval]))",
                            "{{le}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Tokens",
            (
                Panel(
                    title="Tokens by type",
                    description="As the provider counts them. Calls without usage in their answer are not in here.",
                    unit=TOKENS_PER_SECOND,
                    stacked=True,
                    queries=(
                        Query(rate(f"{CLIENT_TOKENS}_sum", SELECTED, "gen_ai_token_type"), "{{gen_ai_token_type}}"),
                    ),
                ),
                Panel(
                    title="Tokens by model",
                    description="Input and output together.",
                    unit=TOKENS_PER_SECOND,
                    stacked=True,
                    queries=(
                        Query(
                            rate(f"{CLIENT_TOKENS}_sum", SELECTED, "gen_ai_request_model", "gen_ai_provider_name"),
                            "{{gen_ai_request_model}} ({{gen_ai_provider_name}})",
                        ),
                    ),
                ),
                Panel(
                    title="Tokens a call",
                    description="The mean. Growing input is a conversation, or a prompt, that grows.",
                    unit=TOKENS,
                    queries=(Query(mean(CLIENT_TOKENS, SELECTED, "gen_ai_token_type"), "{{gen_ai_token_type}}"),),
                ),
            ),
        ),
    ),
)
