"""A real Prometheus with the stack's configuration and rules, and with shorter windows if asked."""

from __future__ import annotations

import json
import math
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import yaml

from tests.support.stack.programs import ROOT, answers, fetched, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DEPLOYED: Final = ROOT / "deploy" / "prometheus"
FASTER: Final = 30
"""The divisor of windows and delays: five minutes become ten seconds. Rates and shares do not change."""

_RANGE: Final = re.compile(r"\[(\d+)([smh])\]")
_DELAY: Final = re.compile(r"\bfor: (\d+)([smh])\b")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}


class Prometheus:
    """A server that answers queries."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The current series of an expression, without NaN: `metric` is the labels, `value` the number."""
        found = self._get("query", query=expression)["result"]
        assert isinstance(found, list), expression
        return [
            {"metric": series["metric"], "value": float(series["value"][1])}
            for series in found
            if not math.isnan(float(series["value"][1]))
        ]

    def firing(self) -> set[tuple[str, str]]:
        """The firing alerts: name and instance."""
        alerts = self._get("alerts")["alerts"]
        return {
            (alert["labels"]["alertname"], alert["labels"].get("instance", ""))
            for alert in alerts
            if alert["state"] == "firing"
        }

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its `health`."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str, **parameters: str) -> Any:
        status, body = fetched(f"{self.url}/api/v1/{what}?{urlencode(parameters)}")
        assert status == 200, (parameters, body)
        return json.loads(body)["data"]


@contextmanager
def prometheus(targets: Mapping[str, Mapping[str, str]], folder: Path, *, fast: bool = True) -> Iterator[Prometheus]:
    """A server that scrapes the given addresses in place of the configuration's targets.

    `targets` is target → instance → address; the series have the instance's name. Windows are shorter if `fast`.
    """
    (folder / "rules").mkdir(parents=True)
    for file in (DEPLOYED / "rules").iterdir():
        (folder / "rules" / file.name).write_text(faster(file.read_text()) if fast else file.read_text())
    config = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())
    if fast:
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in config["scrape_configs"]:
        job["static_configs"] = [
            {"targets": [address], "labels": {"instance": instance}}
            for group in job.get("static_configs", ())
            for name in group["targets"]
            for instance, address in targets[name].items()
        ]
    # Jobs without static targets use DNS names, which do not exist here.
    config["scrape_configs"] = [job for job in config["scrape_configs"] if "dns_sd_configs" not in job]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = (
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    )
    with running(command, ready=lambda: answers(f"{url}/-/ready"), log=folder / "prometheus.log"):
        yield Prometheus(url)


def faster(rules: str) -> str:
    """The rules with all windows and delays divided by `FASTER`."""
    return _DELAY.sub(lambda found: f"for: {_divided(found)}", _RANGE.sub(lambda found: f"[{_divided(found)}]", rules))


def _divided(duration: re.Match[str]) -> str:
    seconds = int(duration[1]) * _SECONDS[duration[2]]
    assert seconds % FASTER == 0, f"{duration[0]} cannot be divided by {FASTER}"
    return f"{seconds // FASTER}s"
