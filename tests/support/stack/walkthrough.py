"""The run that docs/debugging.md tells of: its figures on the terminal, its pictures in docs/images.

`python -m tests.support.stack.walkthrough` takes ten minutes. Programs, variables, load, profile, scrapes and rules are those of
docker-compose.yaml, at their own pace; what stands in for containers is what the stack's tests use.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.browser.chat_app import opened, say, wait_until_answered
from tests.support.browser.chromium import page
from tests.support.otlp.receiver import receiver
from tests.support.processes import ENVIRONMENT
from tests.support.stack.compose import command, environment, scraped
from tests.support.stack.programs import ROOT, answers, await_that, free_port, program, running
from tests.support.stack.prometheus import Prometheus, prometheus
from tests.support.stack.rotel import rotel
from tests.support.stack.stack import SIMULATORS, metrics_at, nginx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

    from tests.support.browser.chromium import Page
    from tests.support.otlp.receiver import Received

SICK: Final = "simulator-2"
FAULT: Final = "kv-tokens=3000"
IMAGES: Final = ROOT / "docs" / "images"
QUESTIONS: Final = ("Why is the sky blue?", "And at sunset?", "On Mars, too?", "What about the Moon?", "And the sea?")

WARM_S: Final = 150
SICK_S: Final = 270
"""Long enough for the alert, two minutes on average and one more, and for a window of two minutes after the queue has grown."""
PATIENCE_S: Final = 300.0
SLOW_S: Final = 4.0


def _share(percent: int, metric: str, *by: str, window: str = "2m") -> str:
    return f"histogram_quantile({percent / 100:g}, sum by ({', '.join(('le', *by))}) (rate({metric}_seconds_bucket[{window}])))"


def _mean(metric: str) -> str:
    return f"rate({metric}_seconds_sum[2m]) / rate({metric}_seconds_count[2m])"


FIRST_CHUNK: Final = "gen_ai_client_operation_time_to_first_chunk"
EVERYBODY: Final = {
    "calls finished, 1/s": "sum(rate(gen_ai_client_operation_duration_seconds_count[2m]))",
    "failed, 1/s": 'sum(rate(gen_ai_client_operation_duration_seconds_count{error_type!=""}[2m])) or vector(0)',
    **{f"first chunk p{percent}, s": _share(percent, FIRST_CHUNK) for percent in (50, 90, 95, 99)},
    "between chunks p50, s": _share(50, "gen_ai_client_operation_time_per_output_chunk"),
    "first chunk, client, mean, s": "model:genai_client_first_chunk_seconds:mean5m",
    "first token, server, mean, s": "model:genai_server_first_token_seconds:mean5m",
    "client less server, s": "model:genai_client_server_gap_seconds:mean5m",
}
BY_REPLICA: Final = {
    "saturation": "instance:genai_saturation:max",
    "waiting": "avg_over_time(vllm:num_requests_waiting[1m])",
    "running": "avg_over_time(vllm:num_requests_running[1m])",
    "KV cache": "avg_over_time(vllm:kv_cache_usage_perc[1m])",
    "KV cache, highest": "max_over_time(vllm:kv_cache_usage_perc[2m])",
    "preemptions, 1/s": "rate(vllm:num_preemptions_total[2m])",
    "prefix cache hits, share": "rate(vllm:prefix_cache_hits_total[2m]) / rate(vllm:prefix_cache_queries_total[2m])",
    "finished, 1/s": "sum by (instance) (rate(vllm:request_success_total[2m]))",
    "tokens out, 1/s": "rate(vllm:generation_tokens_total[2m])",
    "queue, mean, s": _mean("vllm:request_queue_time"),
    "prefill, mean, s": _mean("vllm:request_prefill_time"),
    "decode, mean, s": _mean("vllm:request_decode_time"),
    "per token, mean, s": _mean("vllm:request_time_per_output_token"),
    "between tokens p50, s": _share(50, "vllm:inter_token_latency", "instance"),
    "steps late, mean, s": _mean("otel_genai_simulator_step_lateness"),
}
GRAPHS: Final = {
    "first-chunk": _share(95, FIRST_CHUNK, window="1m"),
    "saturation": "instance:genai_saturation:max",
    "kv-cache": "max by (instance) (vllm:kv_cache_usage_perc)",
}
SHOWN: Final = ("gen_ai.usage.", "gen_ai.response.time_to_first_chunk", "otel_genai.phase.")
"""Prefixes of the attributes that the page shows of a trace."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The addresses of the running programs, and their telemetry."""

    prometheus: Prometheus
    received: Received
    chat: str
    sick: str


@contextmanager
def demo(folder: Path) -> Iterator[Demo]:
    """The programs of `docker compose up`, ready; `folder` takes configurations, logs and data."""
    ports = {name: free_port() for name in (*SIMULATORS, "gateway", "chat")}
    exporters = {name: free_port() for name in (*SIMULATORS, "chat", "load")}
    with ExitStack() as programs:
        received = programs.enter_context(receiver())
        hop = programs.enter_context(rotel(received.endpoint, "http", folder))
        addresses = {
            "gateway:8000": f"127.0.0.1:{ports['gateway']}",
            "collector:4318": hop.http.removeprefix("http://"),
        }

        def start(name: str, words: list[str], url: str) -> None:
            variables = environment(name, addresses) | scraped(exporters[name])
            log = folder / f"{name}.log"
            programs.enter_context(running(words, ready=lambda: answers(url), log=log, variables=variables))

        for name in SIMULATORS:
            words = command(name, host="127.0.0.1", port=ports[name])
            start(name, words, f"http://127.0.0.1:{ports[name]}/health")
        programs.enter_context(nginx(ports, folder))
        chat = f"http://127.0.0.1:{ports['chat']}"
        start("chat", command("chat", host="127.0.0.1", port=ports["chat"]), f"{chat}/health")
        start("load", command("load"), metrics_at(exporters["load"]))
        targets = {f"{name}:8000": {f"{name}:8000": f"127.0.0.1:{ports[name]}"} for name in SIMULATORS}
        targets["collector:8889"] = {
            f"{name}:8000" if name in SIMULATORS else name: f"127.0.0.1:{port}" for name, port in exporters.items()
        }
        server = programs.enter_context(prometheus(targets, folder / "prometheus", fast=False))
        yield Demo(server, received, chat, f"http://127.0.0.1:{ports[SICK]}")


# ── steps ───────────────────────────────────────────────────────────────────────────────────────────────────────


def main() -> None:
    """Figures before, during and after the fault, and the pictures of the page."""
    folder = Path(tempfile.mkdtemp(prefix="walkthrough-"))
    with demo(folder) as stack, page(folder / "browser") as browser:
        time.sleep(WARM_S)
        print_figures("healthy", stack.prometheus)
        opened(browser, stack.chat).show_as(width=900, height=560)
        browser.click("#tools")
        browser.click("#text")
        ask(browser, QUESTIONS[0], turn=1)

        since = time.time_ns()
        switch(stack, FAULT)
        await_that(
            lambda: bool(stack.prometheus.query(f'vllm:num_requests_waiting{{instance="{SICK}:8000"}} > 8')),
            lambda: "no queue grows",
            PATIENCE_S,
        )
        print_trace(stack.received, wait_for_an_answer(browser))
        print_alerts(stack.prometheus, since, until=lambda: time.time_ns() > since + SICK_S * 1e9)
        print_figures("with the fault", stack.prometheus)
        print_exemplars(stack.received, since)
        picture_alerts(stack, browser)

        healed = time.time_ns()
        switch(stack, "off")
        print_alerts(stack.prometheus, healed, until=lambda: not stack.prometheus.firing())
        time.sleep(60)
        print_figures("healed", stack.prometheus)
        for name, expression in GRAPHS.items():
            picture_graph(stack, browser, name, expression)
    shutil.rmtree(folder)


def switch(stack: Demo, *words: str) -> None:
    """Switch a fault of the sick simulator on or off with `otel-genai fault`."""
    subprocess.run([program("otel-genai"), "fault", "--at", stack.sick, *words], env=ENVIRONMENT, check=True)


def ask(browser: Page, question: str, turn: int) -> bool:
    """Ask in the chat page and wait for the answer. Returns whether it was slow; the picture shows that moment."""
    say(browser, question)
    asked = time.monotonic()
    begun = "document.querySelector('article:last-of-type .said')?.textContent"
    while not browser.evaluate(begun) and time.monotonic() < asked + SLOW_S:
        time.sleep(0.02)
    print(f"chat: {question} Begins after {time.monotonic() - asked:.2f} s or more.")
    slow = not browser.evaluate(begun)
    if slow:
        browser.screenshot(IMAGES / "debugging-chat.png")
    wait_until_answered(browser, turn)
    browser.wait_for("document.querySelector('article:last-of-type .trace')")
    return slow


def wait_for_an_answer(browser: Page) -> str:
    """Ask until an answer is slow. Returns the id of its trace."""
    for turn, question in enumerate(QUESTIONS[1:], start=2):
        if ask(browser, question, turn):
            href: str = browser.evaluate("document.querySelector('article:last-of-type .trace').href")
            return href.rpartition("/")[2]
    raise AssertionError("no answer was slow")


def picture_graph(stack: Demo, browser: Page, name: str, expression: str) -> None:
    """Prometheus's own graph of an expression, over the whole run."""
    browser.show_as(width=1100, height=850)
    options = {"g0.expr": expression, "g0.tab": 0, "g0.range_input": "12m"}
    # Not `open`: it waits for the address, which this page rewrites.
    browser._ask("Page.navigate", url=f"{stack.prometheus.url}/classic/graph?{urlencode(options)}")
    browser.wait_for("document.querySelector('.legend .line')")
    browser.screenshot(IMAGES / f"debugging-{name}.png")


def picture_alerts(stack: Demo, browser: Page) -> None:
    """Prometheus's alerts page with the firing alerts unfolded."""
    browser.show_as(width=1000, height=840)
    browser.open(f"{stack.prometheus.url}/classic/alerts")
    browser.click("label:has(#inactiveAlerts)")
    browser.click("button.show-annotations")
    browser.evaluate("document.querySelectorAll('.alert_header.alert-danger').forEach((it) => it.click())")
    browser.show_as(width=1000, height=browser.evaluate("document.body.scrollHeight"))
    browser.screenshot(IMAGES / "debugging-alert.png")


# ── output ───────────────────────────────────────────────────────────────────────────────────────────────────────


def print_figures(when: str, prometheus: Prometheus) -> None:
    """Print all figures of this moment."""
    print(f"\n{when}")
    for figure, expression in EVERYBODY.items():
        print(f"  {figure:30}", *(f"{series['value']:10.3f}" for series in prometheus.query(expression)))
    print(f"  {'':30}", *(f"{name:>12}" for name in SIMULATORS))
    for figure, expression in BY_REPLICA.items():
        values = {series["metric"]["instance"]: series["value"] for series in prometheus.query(expression)}
        print(f"  {figure:30}", *(f"{values.get(f'{name}:8000', float('nan')):12.3f}" for name in SIMULATORS))


def print_alerts(prometheus: Prometheus, since: int, until: Callable[[], bool]) -> None:
    """Print the firing alerts at every change, in seconds since `since` (ns)."""
    printed: set[tuple[str, str]] | None = None
    while not until():
        if (firing := prometheus.firing()) != printed:
            print(f"firing after {(time.time_ns() - since) / 1e9:.0f} s: {sorted(firing)}")
            printed = firing
        time.sleep(0.5)
    print(f"firing after {(time.time_ns() - since) / 1e9:.0f} s: {sorted(prometheus.firing())}")


def print_trace(received: Received, trace: str) -> None:
    """Print the spans of a trace as a tree, with their GenAI attributes."""
    await_that(
        lambda: sum(span.kind == Span.SPAN_KIND_SERVER for span in _spans(received, trace)) == 2,
        lambda: "the trace does not arrive",
        PATIENCE_S,
    )
    spans = _spans(received, trace)
    ids = {span.span_id for span in spans}
    print(f"\ntrace {trace}")
    for span in spans:
        if span.parent_span_id not in ids:
            _print_span(received, spans, span, depth=0)


def _spans(received: Received, trace: str) -> list[Span]:
    return sorted(
        (span for span in list(received.spans) if span.trace_id.hex() == trace),
        key=lambda span: span.start_time_unix_nano,
    )


def _print_span(received: Received, spans: Iterable[Span], span: Span, depth: int) -> None:
    process = _values(received.made_by[span.span_id].attributes)
    kind = Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")
    where = process["service.instance.id"] if depth and kind == "SERVER" else ""
    pad = "  " * depth
    print(f"{pad}{span.name:{24 - len(pad)}}{kind:10}{process['service.name']:14}{where:16}{_seconds(span):8.3f} s")
    for name, value in _values(span.attributes).items():
        if name.startswith(SHOWN):
            print(f"{pad}    {name:44}{value:8.3f}" if isinstance(value, float) else f"{pad}    {name:44}{value:>8}")
    for child in spans:
        if child.parent_span_id == span.span_id:
            _print_span(received, spans, child, depth + 1)


def print_exemplars(received: Received, since: int) -> None:
    """Print the exemplars of the time to first chunk since `since` (ns), by the replica of their trace."""
    exemplars = {
        (exemplar.as_double, exemplar.trace_id)
        for metric in list(received.metrics)
        if metric.name == "gen_ai.client.operation.time_to_first_chunk"
        for point in metric.histogram.data_points
        for exemplar in point.exemplars
        if exemplar.time_unix_nano > since
    }
    spans = list(received.spans)
    servers = {
        span.trace_id: (_values(received.made_by[span.span_id].attributes)["service.instance.id"], span)
        for span in spans
        if span.kind == Span.SPAN_KIND_SERVER and "gen_ai.request.model" in _values(span.attributes)
    }
    led = Counter((servers[trace][0], waited > SLOW_S) for waited, trace in exemplars if trace in servers)
    print(
        "\nexemplars",
        *(f"{replica}, {'slow' if slow else 'quick'}: {count}" for (replica, slow), count in sorted(led.items())),
        sep="\n  ",
    )
    waits = [
        (waited, _values(servers[trace][1].attributes)["otel_genai.phase.queue"])
        for waited, trace in sorted(exemplars)
        if waited > SLOW_S and trace in servers
    ]
    print("first chunk, and of it in the queue:", *waits[:: max(1, len(waits) // 8)], sep="\n  ")


def _values(attributes: Iterable[KeyValue]) -> dict[str, object]:
    found: dict[str, object] = {}
    for attribute in attributes:
        kind = attribute.value.WhichOneof("value")
        found[attribute.key] = getattr(attribute.value, kind) if kind else None
    return found


def _seconds(span: Span) -> float:
    return (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9


if __name__ == "__main__":
    main()
