"""`/metrics`: vLLM's names, and values that agree with the clients' responses."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import openai
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from otel_genai.simulator import serve
from otel_genai.simulator.api.prometheus import exposition, registry_of
from otel_genai.simulator.engine.profile import Profile
from otel_genai.simulator.engine.statistics import Histogram, Statistics
from tests.support.simulator.calls import HELLO, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.samples import Sample

FAST = Profile(
    name="fast",
    prefill_tokens_per_second=1e6,
    decode_step_ms=((1, 0.1), (2, 0.2)),
    kv_cache_tokens=16_000,
    context_tokens=4000,
)


def text_of(statistics: Statistics, model: str) -> str:
    return exposition(registry_of(statistics, model=model)).decode()


def samples_of(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples


def scraped(url: str) -> dict[str, float]:
    """Samples by name and by the labels that differ."""
    status, headers, text = send(url, "GET", "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    samples = {}
    for sample in samples_of(text):
        labels = dict(sample.labels)
        assert (labels.pop("engine"), labels.pop("model_name")) == ("0", "sim-8b"), sample
        samples[sample.name + "".join(f',{name}="{value}"' for name, value in labels.items())] = sample.value
    return samples


def test_the_names_are_those_of_vllm() -> None:
    text = text_of(Statistics(), "sim-8b")
    declared = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert declared == {
        "vllm:num_requests_running": "gauge",
        "vllm:num_requests_waiting": "gauge",
        "vllm:kv_cache_usage_perc": "gauge",
        "vllm:num_preemptions_total": "counter",
        "vllm:prefix_cache_queries_total": "counter",
        "vllm:prefix_cache_hits_total": "counter",
        "vllm:prompt_tokens_total": "counter",
        "vllm:generation_tokens_total": "counter",
        "vllm:request_success_total": "counter",
        "vllm:time_to_first_token_seconds": "histogram",
        "vllm:inter_token_latency_seconds": "histogram",
        "vllm:request_time_per_output_token_seconds": "histogram",
        "vllm:e2e_request_latency_seconds": "histogram",
        "vllm:request_queue_time_seconds": "histogram",
        "vllm:request_prefill_time_seconds": "histogram",
        "vllm:request_decode_time_seconds": "histogram",
        "vllm:iteration_tokens_total": "histogram",
        "otel_genai_simulator_step_lateness_seconds": "histogram",
    }


def test_a_histogram_counts_a_value_at_its_bound_and_is_cumulative() -> None:
    statistics = Statistics()
    statistics.queue_time = Histogram((0.5, 1.0))
    for value in (0.25, 0.5, 0.75, 3):
        statistics.queue_time.add(value)
    found = [sample[:3] for sample in samples_of(text_of(statistics, "m")) if "request_queue" in sample.name]
    labels = {"engine": "0", "model_name": "m"}
    assert found == [
        ("vllm:request_queue_time_seconds_bucket", {**labels, "le": "0.5"}, 2),
        ("vllm:request_queue_time_seconds_bucket", {**labels, "le": "1.0"}, 3),
        ("vllm:request_queue_time_seconds_bucket", {**labels, "le": "+Inf"}, 4),
        ("vllm:request_queue_time_seconds_count", labels, 4),
        ("vllm:request_queue_time_seconds_sum", labels, 4.5),
    ]


def test_a_models_name_may_be_anything() -> None:
    text = text_of(Statistics(), 'a"b\\c\nd\ud800')
    assert '{engine="0",model_name="a\\"b\\\\c\\nd?"} 0' in text
    assert next(samples_of(text)).labels == {"engine": "0", "model_name": 'a"b\\c\nd?'}


def test_a_server_has_a_registry_of_its_own() -> None:
    first, second = registry_of(Statistics(), model="a"), registry_of(Statistics(), model="b")
    assert {sample.labels["model_name"] for sample in samples_of(exposition(first).decode())} == {"a"}
    assert {sample.labels["model_name"] for sample in samples_of(exposition(second).decode())} == {"b"}
    assert b"vllm:" not in exposition(REGISTRY)


@pytest.mark.parametrize("engine", [{"profile": FAST}, {}])
def test_the_metrics_agree_with_the_clients_responses(engine: dict[str, Any]) -> None:
    with (
        serve(models=["sim-8b"], **engine) as url,
        openai.OpenAI(base_url=url, api_key="unused", max_retries=0) as client,
    ):
        whole = client.chat.completions.create(model="sim-8b", messages=HELLO, n=2)
        stream = client.chat.completions.create(
            model="sim-8b", messages=HELLO, max_tokens=3, stream=True, stream_options={"include_usage": True}
        )
        last = list(stream)[-1]
        aborted = client.chat.completions.create(model="sim-8b", messages=HELLO, stream=True)
        next(aborted)
        aborted.close()
        samples = until_idle(url)
    assert whole.usage is not None
    assert last.usage is not None
    by_reason = {reason: samples[f'vllm:request_success_total,finished_reason="{reason}"'] for reason in REASONS}
    assert by_reason["length"] == 1
    # The generation may end before the client disconnects.
    assert (by_reason["stop"], by_reason["abort"]) in {(2, 1), (3, 0)}
    # Every choice reads the prompt.
    assert samples["vllm:prompt_tokens_total"] == 4 * 4
    generated = whole.usage.completion_tokens + last.usage.completion_tokens
    assert samples["vllm:generation_tokens_total"] >= generated
    assert samples["vllm:time_to_first_token_seconds_count"] == 4
    assert samples["vllm:inter_token_latency_seconds_count"] == samples["vllm:generation_tokens_total"] - 4
    assert samples["vllm:e2e_request_latency_seconds_count"] == 4
    assert samples["vllm:kv_cache_usage_perc"] == 0


REASONS = ("stop", "length", "abort")


def until_idle(url: str) -> dict[str, float]:
    """The samples when nothing runs any more."""
    while (samples := scraped(url))["vllm:num_requests_running"]:
        pass
    return samples


async def test_two_hundred_streams_share_one_batch() -> None:
    profile = Profile(
        name="a batch of all",
        prefill_tokens_per_second=1e6,
        decode_step_ms=((1, 50),),
        kv_cache_tokens=100_000,
    )
    most = 0.0
    with serve(models=["sim-8b"], profile=profile) as url:
        host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
        body = json.dumps({"model": "sim-8b", "messages": HELLO, "max_tokens": 40, "stream": True}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )

        async def answer() -> int:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head.encode() + body)
            received = await reader.read()
            writer.close()
            assert received.count(b"data: [DONE]") == 1
            return received.count(b'"content":"') - 1  # the first names the role

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, (await asyncio.to_thread(scraped, url))["vllm:num_requests_running"])

        watching = asyncio.ensure_future(watch())
        answers = await asyncio.gather(*(answer() for _ in range(200)))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        samples = await asyncio.to_thread(until_idle, url)
    assert answers == [40] * 200
    assert most == 200
    assert samples["vllm:generation_tokens_total"] == 8000
    # One request at a time would take 200 times as many steps.
    assert samples["vllm:iteration_tokens_total_count"] <= 200
    assert samples["vllm:num_preemptions_total"] == 0
