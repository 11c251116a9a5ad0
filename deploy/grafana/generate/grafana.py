"""Builds the dashboards with Grafana's own models (grafana-foundation-sdk), which know every field's name and type."""

from __future__ import annotations

import json
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, Final

from grafana_foundation_sdk.builders import common as shared
from grafana_foundation_sdk.builders import dashboard as page
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

if TYPE_CHECKING:
    from panels import Dashboard, Kind, Panel, Query, Row, Variable

GRID: Final = 24
TAG: Final = "genai"
_ALERT_TEXT: Final = {"titleFormat": "{{alertname}}", "textFormat": "{{instance}} {{model_name}}"}
"""What Grafana's Prometheus data source reads of an annotation; the SDK's models have no field for it."""
SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")


def dashboard_json(dashboard: Dashboard) -> str:
    """The file that Grafana provisions or imports."""
    built = (
        page.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.description)
        .tags([TAG])
        .version(1)
        .editable()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .refresh("10s")
        .time("now-15m", "now")
        .timezone("browser")
        .link(
            page.DashboardLink("GenAI dashboards").type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).keep_time(True)
        )
        .annotation(_alerts())
        .variables([_datasource(), *map(_variable, dashboard.variables)])
    )
    _add_rows(built, dashboard.rows)
    written = json.loads(JSONEncoder().encode(built.build()))
    written["annotations"]["list"][0] |= _ALERT_TEXT
    return json.dumps(written, indent=2) + "\n"


def _alerts() -> page.AnnotationQuery:
    return (
        page.AnnotationQuery()
        .name("Alerts")
        .datasource(SOURCE)
        .enable(True)
        .icon_color("red")
        .expr('ALERTS{alertstate="firing", alertname=~"GenAI.+"}')
    )


def _datasource() -> page.DatasourceVariable:
    return page.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _variable(variable: Variable) -> page.QueryVariable:
    query = f"label_values({variable.metric}, {variable.metric_label})"
    return (
        page.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(SOURCE)
        .query({"query": query, "refId": variable.name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(model.VariableOption(text=["All"], value=["$__all"]))
    )


def _add_rows(dashboard: page.Dashboard, rows: tuple[Row, ...]) -> None:
    # The SDK's own layout starts a new line only at exactly 24 columns; three panels of 8 and one of 12 would overlap.
    number = y = 0
    for row in rows:
        number += 1
        dashboard.with_row(page.Row(row.title).id(number).grid_pos(model.GridPos(x=0, y=y, w=GRID, h=1)))
        y, x, tallest = y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > GRID:
                y, x, tallest = y + tallest, 0, 0
            number += 1
            position = model.GridPos(x=x, y=y, w=panel.width, h=panel.height)
            dashboard.with_panel(_panel(panel).id(number).grid_pos(position))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest


def _panel(panel: Panel) -> Any:
    built = (
        _KINDS[panel.kind](panel)
        .title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .targets([_query(panel, *lettered) for lettered in zip(ascii_uppercase, panel.queries, strict=False)])
        .unit(panel.unit)
        .min(0)
    )
    if panel.maximum is not None:
        built.max(panel.maximum)
    if panel.threshold is not None:
        steps = [model.Threshold(color="green"), model.Threshold(color="red", value=panel.threshold)]
        built.thresholds(page.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
    return built


def _query(panel: Panel, letter: str, query: Query) -> prometheus.Dataquery:
    built = (
        prometheus.Dataquery()
        .ref_id(letter)
        .datasource(SOURCE)
        .editor_mode(QueryEditorMode.CODE)
        .expr(query.expr)
        .legend_format(query.legend)
        .exemplar(panel.exemplars)
        .format(_FORMATS.get(panel.kind, PromQueryFormat.TIME_SERIES))
    )
    return built.instant() if panel.kind == "table" else built.range()


def _timeseries(panel: Panel) -> timeseries.Panel:
    threshold = (
        common.GraphThresholdsStyleMode.OFF if panel.threshold is None else common.GraphThresholdsStyleMode.DASHED
    )
    stacking = common.StackingMode.NORMAL if panel.stacked else common.StackingMode.NONE
    return (
        timeseries.Panel()
        .draw_style(common.GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(25 if panel.stacked else 5)
        .show_points(common.VisibilityMode.NEVER)
        .stacking(shared.StackingConfig().mode(stacking).group("A"))
        .thresholds_style(shared.GraphThresholdsStyleConfig().mode(threshold))
        .legend(
            shared.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.TABLE)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["mean", "lastNotNull"])
        )
        .tooltip(shared.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    )


def _stat(panel: Panel) -> stat.Panel:  # noqa: ARG001
    return (
        stat.Panel()
        .reduce_options(shared.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
        .graph_mode(common.BigValueGraphMode.AREA)
        .color_mode(common.BigValueColorMode.VALUE)
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
    )


def _heatmap(panel: Panel) -> heatmap.Panel:
    return (
        heatmap.Panel()
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").exponent(0.5).steps(64))
        .cell_gap(1)
        .y_axis(heatmap.YAxisConfig().unit(panel.unit))
        .mode(common.TooltipDisplayMode.SINGLE)
        .show_color_scale(False)
        .exemplars_color("rgba(255,0,255,0.7)")
    )


def _table(panel: Panel) -> table.Panel:  # noqa: ARG001
    columns = {"excludeByName": {"Time": True, "__name__": True}, "renameByName": {}}
    return (
        table.Panel()
        .show_header(True)
        .cell_height(common.TableCellHeight.SM)
        .with_transformation(model.DataTransformerConfig(id_val="organize", options=columns))
    )


_KINDS: Final[dict[Kind, Any]] = {"timeseries": _timeseries, "stat": _stat, "heatmap": _heatmap, "table": _table}
_FORMATS: Final = {"table": PromQueryFormat.TABLE, "heatmap": PromQueryFormat.HEATMAP}
