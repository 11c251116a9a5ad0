"""What the dashboards consist of: rows of panels, their queries, and the variables at the top of a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "stat", "heatmap", "table"]


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and the legend of its series."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. Exemplars, which link to traces, exist for OpenTelemetry's classic histograms only."""

    title: str
    description: str
    unit: str
    """One of Grafana's unit ids, or `suffix: …`."""
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    exemplars: bool = False
    stacked: bool = False
    maximum: float | None = None
    """Upper end of the axis; Grafana chooses one if this is `None`."""
    threshold: float | None = None
    """A red line: values from here on need attention."""
    width: int = 8
    """In columns of Grafana's grid, which has 24."""
    height: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a common heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard: the values of one label of a metric."""

    name: str
    label: str
    metric: str
    metric_label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A page of rows with the variables at its top."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
