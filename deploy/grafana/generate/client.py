"""The calls that applications make to models: OpenTelemetry's metrics, through the collector."""

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
    description="The calls that applications make to models, as the applications measure them.",
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
                    description="Finished calls per second, by operation, model and provider. A call includes its retries.",
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
                    description="Share of the calls that ended in an error, over five minutes. A call that its caller stopped is no error.",
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
                    description="Failed calls per second, by HTTP status or exception class.",
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
                    description="From the call to the last chunk. Each point is one call and links to its trace.",
                    unit="s",
                    exemplars=True,
                    queries=quantiles(CLIENT_DURATION, SELECTED),
                ),
                Panel(
                    title="Time to first chunk",
                    description="The wait until an answer begins. Streamed calls only. Points link to traces.",
                    unit="s",
                    exemplars=True,
                    queries=quantiles(CLIENT_FIRST_CHUNK, SELECTED),
                ),
                Panel(
                    title="Inter-chunk latency",
                    description="Time from one chunk to the next at the client. A chunk may carry several tokens.",
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
                    description="One streamed call in twenty waits longer for its first chunk.",
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
                    description="Streamed calls in each bucket: two bands are two kinds of calls.",
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
                    description="As the provider counts them. Calls whose response has no usage are not included.",
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
                    title="Tokens per call",
                    description="The mean. Input grows with the length of conversations and prompts.",
                    unit=TOKENS,
                    queries=(Query(mean(CLIENT_TOKENS, SELECTED, "gen_ai_token_type"), "{{gen_ai_token_type}}"),),
                ),
            ),
        ),
    ),
)
