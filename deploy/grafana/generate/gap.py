"""The same requests, measured at the client and at the server."""

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
    description="The same requests at client and server. The difference is network, gateway, and the client's own process.",
    variables=(Variable("model", "Model", "vllm:num_requests_running", "model_name"),),
    rows=(
        Row(
            "Time to the first output",
            (
                Panel(
                    title="Client-server gap",
                    description="Mean time to first chunk at the clients minus mean time to first token at the servers.",
                    unit="s",
                    threshold=0.25,
                    queries=(Query(f"model:genai_client_server_gap_seconds:mean5m{{{SERVED}}}", "{{model_name}}"),),
                ),
                Panel(
                    title="First chunk and first token, mean",
                    description="Both sides of the gap, over five minutes.",
                    unit="s",
                    queries=(
                        Query(f"model:genai_client_first_chunk_seconds:mean5m{{{SERVED}}}", "{{model_name}} client"),
                        Query(f"model:genai_server_first_token_seconds:mean5m{{{SERVED}}}", "{{model_name}} server"),
                    ),
                ),
                Panel(
                    title="First chunk and first token, p95",
                    description="The difference of two percentiles is no percentile, but lines that diverge are a reason to look.",
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
                    description="Calls at the clients, including retries and waits for a connection, and requests at the servers.",
                    unit="s",
                    queries=(
                        Query(mean(CLIENT_DURATION, CALLED), "client"),
                        Query(mean("vllm:e2e_request_latency_seconds", SERVED), "server"),
                    ),
                ),
                Panel(
                    title="Requests",
                    description="More at the servers: retries, or clients without telemetry. More at the clients: calls do not arrive.",
                    unit="reqps",
                    queries=(
                        Query(rate(f"{CLIENT_DURATION}_count", CALLED), "client"),
                        Query(rate("vllm:request_success_total", SERVED), "server"),
                    ),
                ),
                Panel(
                    title="Output tokens",
                    description="More at the servers: responses that a client stopped early, or that carried no usage.",
                    unit=TOKENS_PER_SECOND,
                    queries=(
                        Query(rate(f"{CLIENT_TOKENS}_sum", f'{CALLED}, gen_ai_token_type="output"'), "client"),
                        Query(rate("vllm:generation_tokens_total", SERVED), "server"),
                    ),
                ),
                Panel(
                    title="Inter-token latency",
                    description="p95 of chunks at the client and tokens at the server. If the lines diverge, a part buffers the stream.",
                    unit="s",
                    queries=(
                        Query(quantile(0.95, CLIENT_CHUNK, CALLED), "client, chunk"),
                        Query(quantile(0.95, "vllm:inter_token_latency_seconds", SERVED), "server, token"),
                    ),
                ),
                Panel(
                    title="Aborted",
                    description="Failed calls at the clients, and aborted requests at the servers.",
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
