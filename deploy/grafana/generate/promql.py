"""The PromQL that the dashboards have in common."""

from __future__ import annotations

from panels import Query

CLIENT_DURATION = "gen_ai_client_operation_duration_seconds"
CLIENT_FIRST_CHUNK = "gen_ai_client_operation_time_to_first_chunk_seconds"
CLIENT_CHUNK = "gen_ai_client_operation_time_per_output_chunk_seconds"
CLIENT_TOKENS = "gen_ai_client_token_usage"

TOKENS_PER_SECOND = "suffix: tok/s"
TOKENS = "suffix: tok"


def rate(metric: str, selector: str, *by: str) -> str:
    """A counter's increase per second, summed by labels; over all series without labels."""
    grouped = f" by ({', '.join(by)})" if by else ""
    return f"sum{grouped} (rate({metric}{{{selector}}}[$__rate_interval]))"


def mean(histogram: str, selector: str, *by: str) -> str:
    """The mean of a histogram's observations; no value where there are none."""
    return f"{rate(f'{histogram}_sum', selector, *by)} / ({rate(f'{histogram}_count', selector, *by)} > 0)"


def quantile(share: float, histogram: str, selector: str, *by: str) -> str:
    """The value that `share` (0 to 1) of the observations do not exceed."""
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', selector, 'le', *by)})"


def quantiles(histogram: str, selector: str) -> tuple[Query, ...]:
    """The 50th, 95th and 99th percentile."""
    return tuple(Query(quantile(share, histogram, selector), f"p{share * 100:.0f}") for share in (0.5, 0.95, 0.99))
