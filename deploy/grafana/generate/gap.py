"""The same requests seen from both ends."""

from __future__ import annotations

from panels import Dashboard, Panel, Query, Row, Variable
from promql import (
    CLIENT_CHUNK,
    CLIENT_DURATION,
    CLIENT_FIRST_CHUNK,
    CLIENT_TOKENS,
    TOKENS_PER_SECOND,
    mean,
    quantile,
    rate,
)

CALLED = 'gen_ai_request_model=~"$model"'
SERVED = 'model_name=~"$model"'

GAP = Dashboard(
    uid="genai-gap",
    title="GenAI client against server",
    description="The same requests seen from both ends. What lies between is network, gateway, and the client's own process.",
    variables=(Variable("model", "Model", "vllm:num_requests_running", "model_name"),),
    rows=(
        Row(
            "Until an answer begins",
            (
                Panel(
                    title="The gap",
                    description="Mean time to first chunk at the clients less mean time to first token at the servers.",
                    unit="s",
                    threshold=0.25,
                    queries=(Query(f"model:genai_client_server_gap_seconds:mean5m{{{SERVED}}}", "{{model_name}}"),),
                ),
                Panel(
                    title="Means",
                    description="Both sides of the gap, over five minutes.",
                    unit="s",
                    queries=(
                        Query(f"model:genai_client_first_chunk_seconds:mean5m{{{SERVED}}}", "{{model_name}} client"),
                        Query(f"model:genai_server_first_token_seconds:mean5m{{{SERVED}}}", "{{model_name}} server"),
                    ),
                ),
                Panel(
                    title="95th percentiles",
                    description="Their difference is no percentile of anything, but lines that part are a reason to look.",
                    unit="s",
                    exemplars=True,
                    queries=(
                        Query(quantile(0.95, CLIENT_FIRST_CHUNK, CALLED), "client, first chunk"),
                        Query(quantile(0.95, "vllm:time_to_first_token_seconds", SERVED), "server, first token"),
                    ),
                ),
            ),
        ),
        Row(
            "Whole requests",
            (
                Panel(
                    title="Duration, mean",
                    description="Calls at the clients, retries and waiting for a connection included, and requests at the servers.",
                    unit="s",
                    queries=(
                        Query(mean(CLIENT_DURATION, CALLED), "client"),
                        Query(mean("vllm:e2e_request_latency_seconds", SERVED), "server"),
                    ),
                ),
                Panel(
                    title="Requests",
                    description="More at the servers: retries, or clients without telemetry. More at the clients: calls that never arrive.",
                    unit="reqps",
                    queries=(
                        Query(rate(f"{CLIENT_DURATION}_count", CALLED), "client"),
                        Query(rate("vllm:request_success_total", SERVED), "server"),
                    ),
                ),
                Panel(
                    title="Output tokens",
                    description="More at the servers: answers that nobody read to the end, or that came without usage.",
                    unit=TOKENS_PER_SECOND,
                    queries=(
                        Query(rate(f"{CLIENT_TOKENS}_sum", f'{CALLED}, gen_ai_token_type="output"'), "client"),
                        Query(rate("vllm:generation_tokens_total", SERVED), "server"),
                    ),
                ),
                Panel(
                    title="Between two pieces",
                    description="Chunks at the client, tokens at the server, p95. Apart: something between gathers what should flow.",
                    unit="s",
                    queries=(
                        Query(quantile(0.95, CLIENT_CHUNK, CALLED), "client, chunk"),
                        Query(quantile(0.95, "vllm:inter_token_latency_seconds", SERVED), "server, token"),
                    ),
                ),
                Panel(
                    title="Broken off",
                    description="Failed calls at the clients, and requests that were aborted at the servers.",
                    unit="reqps",
                    queries=(
                        Query(rate(f"{CLIENT_DURATION}_count", f'{CALLED}, error_type!=""'), "client, failed"),
                        Query(
                            rate("vllm:request_success_total", f'{SERVED}, finished_reason="abort"'), "server, aborted"
                        ),
                    ),
                ),
            ),
        ),
    ),
)
