"""Model servers: throughput, latency and saturation, under vLLM's metric names."""

from __future__ import annotations

from panels import Dashboard, Panel, Query, Row, Variable
from promql import TOKENS, TOKENS_PER_SECOND, mean, quantiles, rate

SELECTED = 'model_name=~"$model", instance=~"$instance"'
TRACED = 'gen_ai_request_model=~"$model", instance=~"$instance"'
"""The same requests in OpenTelemetry's metrics."""

SERVER = Dashboard(
    uid="genai-server",
    title="GenAI server",
    description="Model servers: throughput, latency and saturation.",
    variables=(
        Variable("model", "Model", "vllm:num_requests_running", "model_name"),
        Variable("instance", "Replica", "vllm:num_requests_running", "instance"),
    ),
    rows=(
        Row(
            "Load",
            (
                Panel(
                    title="Saturation",
                    description="The greater of waiting queue and KV cache, each divided by its target. A replica is overloaded from 1 on.",
                    unit="percentunit",
                    threshold=1,
                    queries=(Query(f"instance:genai_saturation:max{{{SELECTED}}}", "{{instance}}"),),
                ),
                Panel(
                    title="Waiting requests",
                    description="Requests that are not scheduled yet. Time to first token grows with the queue.",
                    unit="short",
                    queries=(Query(f"sum by (instance) (vllm:num_requests_waiting{{{SELECTED}}})", "{{instance}}"),),
                ),
                Panel(
                    title="Running requests",
                    description="Requests in the batch: each step generates one token for each of them.",
                    unit="short",
                    queries=(Query(f"sum by (instance) (vllm:num_requests_running{{{SELECTED}}})", "{{instance}}"),),
                ),
                Panel(
                    title="KV cache utilization",
                    description="Share of the cache's blocks in use. When it is full, requests wait or are preempted.",
                    unit="percentunit",
                    maximum=1,
                    threshold=0.8,
                    queries=(Query(f"max by (instance) (vllm:kv_cache_usage_perc{{{SELECTED}}})", "{{instance}}"),),
                ),
                Panel(
                    title="Preemptions",
                    description="Running requests per second that lost their blocks and are recomputed.",
                    unit="ops",
                    queries=(Query(rate("vllm:num_preemptions_total", SELECTED, "instance"), "{{instance}}"),),
                ),
                Panel(
                    title="Prefix cache hits",
                    description="Share of prompt tokens that were in the cache, because an earlier request began with the same tokens.",
                    unit="percentunit",
                    maximum=1,
                    queries=(
                        Query(
                            f"{rate('vllm:prefix_cache_hits_total', SELECTED, 'instance')}"
                            f" / ({rate('vllm:prefix_cache_queries_total', SELECTED, 'instance')} > 0)",
                            "{{instance}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Throughput",
            (
                Panel(
                    title="Tokens",
                    description="Prompt tokens (in) and generated tokens (out) per second, all replicas together.",
                    unit=TOKENS_PER_SECOND,
                    queries=(
                        Query(rate("vllm:prompt_tokens_total", SELECTED), "in"),
                        Query(rate("vllm:generation_tokens_total", SELECTED), "out"),
                    ),
                ),
                Panel(
                    title="Generated tokens by replica",
                    description="Lines differ if load is uneven, or if a replica is slower than the others.",
                    unit=TOKENS_PER_SECOND,
                    queries=(Query(rate("vllm:generation_tokens_total", SELECTED, "instance"), "{{instance}}"),),
                ),
                Panel(
                    title="Finished requests",
                    description="By finish reason: stop and length are complete answers; abort is a client that disconnected.",
                    unit="reqps",
                    stacked=True,
                    queries=(
                        Query(rate("vllm:request_success_total", SELECTED, "finished_reason"), "{{finished_reason}}"),
                    ),
                ),
            ),
        ),
        Row(
            "Latency",
            (
                Panel(
                    title="Time to first token",
                    description="From a request's arrival to its first token: queue and prefill. The objective: 95 % within 0.5 s.",
                    unit="s",
                    threshold=0.5,
                    queries=quantiles("vllm:time_to_first_token_seconds", SELECTED),
                ),
                Panel(
                    title="Time per output token",
                    description="A request's mean time for each token after the first.",
                    unit="s",
                    queries=quantiles("vllm:request_time_per_output_token_seconds", SELECTED),
                ),
                Panel(
                    title="Inter-token latency",
                    description="Time between two tokens: stalls and long prefills in the same batch show here, not in the mean.",
                    unit="s",
                    queries=quantiles("vllm:inter_token_latency_seconds", SELECTED),
                ),
            ),
        ),
        Row(
            "Where a request's time goes",
            (
                Panel(
                    title="Queue time",
                    description="The mean wait until a request is scheduled. No percentiles: vLLM's first bucket ends at 0.3 s.",
                    unit="s",
                    queries=(Query(mean("vllm:request_queue_time_seconds", SELECTED, "instance"), "{{instance}}"),),
                ),
                Panel(
                    title="Phases, mean",
                    description="Queue, prefill and decode, stacked: the mean request.",
                    unit="s",
                    stacked=True,
                    queries=tuple(
                        Query(mean(f"vllm:request_{phase}_time_seconds", SELECTED), phase)
                        for phase in ("queue", "prefill", "decode")
                    ),
                ),
                Panel(
                    title="Tokens per step",
                    description="Tokens that one engine step processes: many during prefill, the batch size during decode.",
                    unit=TOKENS,
                    queries=(Query(mean("vllm:iteration_tokens_total", SELECTED, "instance"), "{{instance}}"),),
                ),
            ),
        ),
        Row(
            "OpenTelemetry metrics",
            (
                Panel(
                    title="Queue time, OpenTelemetry",
                    description="OpenTelemetry's metric, with finer buckets. Each point is one request and links to its trace.",
                    unit="s",
                    exemplars=True,
                    width=12,
                    queries=quantiles("otel_genai_engine_queue_duration_seconds", TRACED),
                ),
                Panel(
                    title="Time to first token, OpenTelemetry",
                    description="The same as above from OpenTelemetry's metric. Points link to traces.",
                    unit="s",
                    exemplars=True,
                    width=12,
                    queries=quantiles("gen_ai_server_time_to_first_token_seconds", TRACED),
                ),
                Panel(
                    title="Time per output token, OpenTelemetry",
                    description="The same as above from OpenTelemetry's metric. Points link to traces.",
                    unit="s",
                    exemplars=True,
                    width=12,
                    queries=quantiles("gen_ai_server_time_per_output_token_seconds", TRACED),
                ),
                Panel(
                    title="Request duration, OpenTelemetry",
                    description="From a request's arrival to its last token. Points link to traces.",
                    unit="s",
                    exemplars=True,
                    width=12,
                    queries=quantiles("gen_ai_server_request_duration_seconds", TRACED),
                ),
            ),
        ),
    ),
)
