"""The running stack: every panel has data, every rule is evaluated, and a fault is seen, alerted, traced and resolved."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import openai
import pytest
import yaml
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.browser.chat_app import events
from tests.support.stack.dashboards import PanelQuery, loaded, queries
from tests.support.stack.programs import await_that
from tests.support.stack.prometheus import DEPLOYED, faster

if TYPE_CHECKING:
    from tests.support.stack.stack import Stack

pytestmark = pytest.mark.stack

RULES = [
    rule
    for file in sorted((DEPLOYED / "rules").iterdir())
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
]
PATIENCE_S = 60.0
"""Seconds for windows to fill and for a queue to grow and drain, on a busy machine."""


def returns_data(stack: Stack, expression: str) -> None:
    await_that(lambda: bool(stack.prometheus.query(expression)), lambda: f"no data: {expression}", PATIENCE_S)


def seconds(span: Span) -> float:
    return (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9


@pytest.mark.parametrize("query", queries(), ids=str)
def test_every_panel_has_data(query: PanelQuery, running_stack: Stack) -> None:
    returns_data(running_stack, query.executable)
    for label in query.labels:
        assert any(series["metric"].get(label) for series in running_stack.prometheus.query(query.executable)), label


def test_every_variable_of_a_dashboard_has_values(running_stack: Stack) -> None:
    for dashboard in loaded().values():
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = variable["query"]["query"].removeprefix("label_values(").removesuffix(")").split(", ")
                returns_data(running_stack, f'count by ({label}) ({metric}{{{label}!=""}})')


@pytest.mark.parametrize("rule", [rule for rule in RULES if "record" in rule], ids=lambda rule: rule["record"])
def test_every_recording_rule_has_data(rule: dict[str, str], running_stack: Stack) -> None:
    returns_data(running_stack, rule["record"])


@pytest.mark.parametrize("rule", [rule for rule in RULES if "alert" in rule], ids=lambda rule: rule["alert"])
def test_every_alert_reads_series_that_exist(rule: dict[str, str], running_stack: Stack) -> None:
    expression = faster(rule["expr"])
    running_stack.prometheus.query(expression)
    read = set(re.findall(r"(?:vllm|model|instance):[\w:]+|gen_ai_\w+|\bup\b", expression))
    assert read
    for series in read:
        returns_data(running_stack, f"count({series})")


def test_prometheus_evaluates_every_rule_without_error(running_stack: Stack) -> None:
    rules = running_stack.prometheus.rules()
    assert len(rules) == len(RULES)
    await_that(
        lambda: all(rule["health"] == "ok" for rule in running_stack.prometheus.rules()),
        lambda: str([rule for rule in running_stack.prometheus.rules() if rule["health"] != "ok"]),
        PATIENCE_S,
    )


def test_a_slow_answer_is_traced_to_the_replica_that_made_it_wait(running_stack: Stack) -> None:
    stack, sick = running_stack, "simulator-2"
    saturated = ("GenAIQueueSaturated", f"{sick}:8000")
    await_that(
        lambda: saturated not in stack.prometheus.firing(), lambda: "the alert fires before the fault", PATIENCE_S
    )

    since = time.time_ns()
    stack.fault(sick, "kv-tokens=1500")
    await_that(lambda: saturated in stack.prometheus.firing(), lambda: str(stack.prometheus.firing()), PATIENCE_S)
    firing = stack.prometheus.firing()
    assert {who for alert, who in firing if alert == "GenAIQueueSaturated"} == {f"{sick}:8000"}
    waiting = stack.prometheus.query("topk(1, vllm:num_requests_waiting)")
    assert [series["metric"]["instance"] for series in waiting] == [f"{sick}:8000"]

    # With the fault off, the queue drains: when the alert resolves, all calls of that time have ended.
    stack.fault(sick, "off")
    await_that(lambda: saturated not in stack.prometheus.firing(), lambda: "the alert does not resolve", PATIENCE_S)

    # The trace of the slowest answer of that time: its SERVER span has the queue time and the replica.
    spans = [span for span in list(stack.received.spans) if span.start_time_unix_nano >= since]
    slowest = max((span for span in spans if span.kind == Span.SPAN_KIND_CLIENT), key=seconds)
    (served,) = (span for span in spans if span.trace_id == slowest.trace_id and span.kind == Span.SPAN_KIND_SERVER)
    waited = {attribute.key: attribute.value.double_value for attribute in served.attributes}["otel_genai.phase.queue"]
    assert waited > seconds(slowest) / 2
    process = stack.received.made_by[served.span_id].attributes
    assert {name.key: name.value.string_value for name in process}["service.instance.id"] == f"{sick}:8000"


def test_the_gateway_does_not_buffer_a_stream(running_stack: Stack) -> None:
    with openai.OpenAI(base_url=running_stack.gateway, api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="sim-8b", messages=[{"role": "user", "content": "Tell me everything"}], max_tokens=60, stream=True
        )
        arrivals = [time.monotonic() for _ in stream]
    at_once = [gap for gap in (later - earlier for earlier, later in pairwise(arrivals)) if gap < 0.002]
    # A buffering proxy forwards a dozen chunks at once, and then none for a while.
    assert len(at_once) < len(arrivals) / 2


def test_a_chat_turn_is_counted(running_stack: Stack) -> None:
    assert "done" in events(running_stack.chat, "What is the weather in Paris?")[-1]
    returns_data(
        running_stack,
        'gen_ai_client_operation_duration_seconds_count{instance="chat", gen_ai_request_model="sim-8b"} > 0',
    )
