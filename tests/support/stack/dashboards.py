"""The dashboards as they are provisioned, and the queries in them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from tests.support.stack.programs import ROOT

GRAFANA: Final = ROOT / "deploy" / "grafana"
FILES: Final = sorted((GRAFANA / "dashboards").glob("*.json"))


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One expression of a panel, and its place: `dashboard`, `panel`, `ref`."""

    dashboard: str
    panel: str
    ref: str
    expr: str
    legend: str

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel} {self.ref}"

    @property
    def labels(self) -> list[str]:
        """The labels that the legend shows."""
        return re.findall(r"\{\{(\w+)\}\}", self.legend)

    @property
    def executable(self) -> str:
        """The expression as Grafana sends it with every variable at All."""
        expression = self.expr.replace("$__rate_interval", "10s")
        for variable in ("provider", "model", "instance"):
            expression = expression.replace(f"${variable}", ".*")
        return expression


def loaded() -> dict[str, dict[str, Any]]:
    """File name without suffix → dashboard."""
    return {file.stem: json.loads(file.read_text()) for file in FILES}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels, without row headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> list[PanelQuery]:
    """Every expression of every panel."""
    return [
        PanelQuery(name, panel["title"], target["refId"], target["expr"], target["legendFormat"])
        for name, dashboard in loaded().items()
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]
