"""The walkthrough leads to places that exist: commands, ports, panels, metrics, alerts, attributes, and the fault of its own run."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import TYPE_CHECKING

import pytest
import yaml

from otel_genai.semconv import gen_ai, otel_genai
from otel_genai.simulator.faults import command
from tests.support.stack.compose import services
from tests.support.stack.dashboards import loaded, panels, queries
from tests.support.stack.programs import ROOT
from tests.support.stack.prometheus import DEPLOYED
from tests.support.stack.walkthrough import FAULT, SICK

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.stack

PAGE = (ROOT / "docs" / "debugging.md").read_text(encoding="utf-8")
COMMANDS = [line.removeprefix("$ ") for line in PAGE.splitlines() if line.startswith("$ ")]
RULES = [
    rule
    for file in (DEPLOYED / "rules").iterdir()
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
]


def published() -> Iterator[tuple[str, str]]:
    """Port of the host, and the service that answers there."""
    for name, service in services().items():
        for port in service.get("ports", ()):
            yield port.split(":")[1], name


def faults() -> list[argparse.Namespace]:
    """What the page's commands switch, read as the command reads it."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    said = [command.partition("otel-genai fault ")[2] for command in COMMANDS if "otel-genai fault " in command]
    return [parser.parse_intermixed_args(shlex.split(words, comments=True)) for words in said]


def test_the_fault_is_that_of_the_run_and_the_fix_ends_it() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    on, off = (parser.parse_args([word]).changes for word in (FAULT, "off"))
    assert [chosen.changes for chosen in faults()] == [on, on, off]


def test_the_commands_reach_the_sick_replica() -> None:
    inside = [command.split()[3] for command in COMMANDS if command.startswith("docker compose exec ")]
    assert set(inside) == {SICK}
    urls = [url for chosen in faults() for url in chosen.urls or ()]
    assert urls
    assert {dict(published())[url.rpartition(":")[2]] for url in urls} == {SICK}


def test_every_address_belongs_to_a_service() -> None:
    where = dict(published())
    linked = re.findall(r"<http://(localhost|127\.0\.0\.1):(\d+)", PAGE)
    assert {where[port] for _, port in linked} == {"chat", "grafana", "jaeger", "prometheus"}


def test_every_panel_is_on_its_dashboard() -> None:
    there = {(board["title"], panel["title"]) for board in loaded().values() for panel in panels(board)}
    named = {(board, panel) for board, panel in re.findall(r"\*\*(GenAI [\w ]+) → ([^*]+)\*\*", PAGE)}
    assert len(named) >= 8
    assert named - there == set()


def test_every_alert_exists() -> None:
    named = set(re.findall(r"`(GenAI\w+)`", PAGE))
    assert "GenAIQueueSaturated" in named
    assert named - {rule["alert"] for rule in RULES if "alert" in rule} == set()


def test_every_metric_is_on_a_dashboard_or_recorded() -> None:
    known = {rule["record"] for rule in RULES if "record" in rule}
    known.update(name for query in queries() for name in re.findall(r"[a-z_]+:?[\w:]+", query.expr))
    named = set(re.findall(r"`((?:vllm|instance|model|genai):[\w:]+|(?:gen_ai|otel_genai)_\w+)", PAGE))
    assert {"vllm:num_requests_waiting", "instance:genai_saturation:max"} <= named
    assert named - known == set()


def test_every_attribute_is_one_that_spans_have() -> None:
    named = set(re.findall(r"\b((?:gen_ai|otel_genai)\.[\w.]+)", PAGE))
    known = {str(value) for module in (gen_ai, otel_genai) for value in vars(module).values() if "." in str(value)}
    phases = {otel_genai.PHASE.format(phase) for phase in ("preprocess", "queue", "prefill", "decode")}
    assert phases - named == set()
    assert named - known - phases == set()


def test_a_replicas_memory_is_that_of_the_profile() -> None:
    profile = (ROOT / "deploy/profiles/llama-3.1-8b-l4.toml").read_text()
    (tokens,) = re.findall(r"^kv_cache_tokens = (\d+)$", profile, re.MULTILINE)
    assert f"{int(tokens):,} tokens" in PAGE
    assert any(profile_option.endswith("llama-3.1-8b-l4.toml") for profile_option in services()[SICK]["command"])


def test_every_picture_is_shown() -> None:
    pictures = {f"images/{picture.name}" for picture in (ROOT / "docs/images").glob("debugging-*.png")}
    assert pictures
    assert set(re.findall(r"!\[[^\]]+\]\((images/debugging-[^)]+)\)", PAGE)) == pictures
