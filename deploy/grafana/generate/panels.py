"""Grafana's JSON for a dashboard: rows of panels, laid out from left to right."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GRID = 24


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, and how each of its series is called in the legend."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart. `exemplars` are the dots that lead to traces; only classic histograms out of OpenTelemetry have them."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    exemplars: bool = False
    stacked: bool = False
    highest: float | None = None
    threshold: float | None = None
    """From here on it is bad: a red line."""
    width: int = 8
    height: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that belong together, under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard: the values that a label has on a metric."""

    name: str
    label: str
    metric: str
    metric_label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A page of rows, and the choices at its top."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    """What Grafana provisions."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["genai"],
        "schemaVersion": 41,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-15m", "to": "now"},
        "timezone": "browser",
        "links": [
            {
                "title": "GenAI dashboards",
                "type": "dashboards",
                "tags": ["genai"],
                "asDropdown": False,
                "includeVars": False,
                "keepTime": True,
            }
        ],
        "annotations": {
            "list": [
                {
                    "name": "Alerts",
                    "datasource": SOURCE,
                    "enable": True,
                    "iconColor": "red",
                    "expr": 'ALERTS{alertstate="firing", alertname=~"GenAI.+"}',
                    "titleFormat": "{{alertname}}",
                    "textFormat": "{{instance}} {{model_name}}",
                    "useValueForTime": False,
                }
            ]
        },
        "templating": {"list": [_datasource(), *(_variable(variable) for variable in dashboard.variables)]},
        "panels": _laid_out(dashboard.rows),
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}}


def _variable(variable: Variable) -> dict[str, Any]:
    query = f"label_values({variable.metric}, {variable.metric_label})"
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": variable.name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _laid_out(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        heading = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        panels.append(heading | {"id": len(panels) + 1, "gridPos": {"x": 0, "y": y, "w": GRID, "h": 1}})
        y, x, tallest = y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > GRID:
                y, x, tallest = y + tallest, 0, 0
            position = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            panels.append(_panel(panel) | {"id": len(panels) + 1, "gridPos": position})
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return panels


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "targets": [
            _target(panel, query, letter) for query, letter in zip(panel.queries, ascii_uppercase, strict=False)
        ],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _OPTIONS[panel.kind] | ({"yAxis": {"unit": panel.unit}} if panel.kind == "heatmap" else {}),
        "transformations": [_WITHOUT_TIME] if panel.kind == "table" else [],
    }


def _target(panel: Panel, query: Query, letter: str) -> dict[str, Any]:
    instant = panel.kind == "table"
    return {
        "refId": letter,
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend,
        "range": not instant,
        "instant": instant,
        "exemplar": panel.exemplars,
        "format": {"table": "table", "heatmap": "heatmap"}.get(panel.kind, "time_series"),
    }


def _field(panel: Panel) -> dict[str, Any]:
    field: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.kind == "timeseries":
        field["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 25 if panel.stacked else 5,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "off" if panel.threshold is None else "dashed"},
        }
    if panel.highest is not None:
        field["max"] = panel.highest
    if panel.threshold is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.threshold}]
        field["thresholds"] = {"mode": "absolute", "steps": steps}
    return field


_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["mean", "lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "graphMode": "area",
        "colorMode": "value",
        "textMode": "value_and_name",
    },
    "heatmap": {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "cellGap": 1,
        "tooltip": {"mode": "single", "showColorScale": False},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
    },
    "table": {"showHeader": True, "cellHeight": "sm"},
}

_WITHOUT_TIME = {"id": "organize", "options": {"excludeByName": {"Time": True, "__name__": True}, "renameByName": {}}}
