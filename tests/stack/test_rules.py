"""promtool checks the configuration and the rules, and runs the scenarios of deploy/prometheus/tests."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.support.stack.programs import program
from tests.support.stack.prometheus import DEPLOYED, faster

pytestmark = pytest.mark.stack

RULES = sorted((DEPLOYED / "rules").iterdir())
SCENARIOS = sorted((DEPLOYED / "tests").iterdir())


def promtool(*arguments: str) -> str:
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_configuration_and_rules_are_valid() -> None:
    assert "SUCCESS: 4 rule files found" in promtool("check", "config", str(DEPLOYED / "prometheus.yml"))
    assert "FAILED" not in promtool("check", "rules", *map(str, RULES))


@pytest.mark.parametrize("scenarios", SCENARIOS, ids=lambda path: path.stem)
def test_scenarios(scenarios: object) -> None:
    assert "SUCCESS" in promtool("test", "rules", str(scenarios))


def test_every_rule_has_a_scenario() -> None:
    tested = "".join(file.read_text() for file in SCENARIOS)
    rules = [
        rule.get("record") or rule["alert"]
        for file in RULES
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
    ]
    # Constants, and intermediate rules that the scenarios of other rules cover.
    covered_by_others = {
        "genai:requests_waiting:target",
        "genai:kv_cache_usage:target",
        "genai:token_price_usd:per_million",
        "genai:replica_price_usd:per_hour",
        "model:genai_client_first_chunk_seconds:mean5m",
        "model:genai_server_first_token_seconds:mean5m",
    }
    assert {rule for rule in rules if rule not in tested} == covered_by_others


def test_faster_rules_are_the_same_rules() -> None:
    assert faster("rate(x[5m]) > 0.05\nfor: 2m\n# 5m") == "rate(x[10s]) > 0.05\nfor: 4s\n# 5m"
