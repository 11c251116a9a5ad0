"""The dashboards: every panel has a description, a unit, a legend and a place of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.stack.dashboards import FILES, GRAFANA, loaded, panels

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.stack

DASHBOARDS = loaded()
UNMODELLED = {"titleFormat", "textFormat"}
"""Fields of Prometheus' annotations that Grafana's models do not have."""


@pytest.fixture(params=DASHBOARDS)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    return DASHBOARDS[request.param]


def test_there_are_four_dashboards() -> None:
    assert {name: board["title"] for name, board in DASHBOARDS.items()} == {
        "client": "GenAI client",
        "server": "GenAI server",
        "gap": "GenAI client against server",
        "cost": "GenAI cost",
    }
    assert len({board["uid"] for board in DASHBOARDS.values()}) == 4


def test_the_json_files_are_what_the_generator_writes(tmp_path: Path) -> None:
    shutil.copytree(GRAFANA / "generate", tmp_path / "generate")
    (tmp_path / "dashboards").mkdir()
    subprocess.run([sys.executable, "-B", tmp_path / "generate"], timeout=60, check=True)
    written = {file.name: file.read_text() for file in (tmp_path / "dashboards").iterdir()}
    assert written == {file.name: file.read_text() for file in FILES}


def test_grafanas_models_know_every_field(dashboard: dict[str, Any]) -> None:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
    assert lost(dashboard, read) == set()


def lost(written: Any, read: Any) -> set[str]:
    """The fields whose value did not survive the round trip."""
    if isinstance(written, dict) and isinstance(read, dict):
        fields = written.keys() - UNMODELLED
        return (fields - read.keys()).union(*(lost(written[field], read[field]) for field in fields & read.keys()))
    if isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        return set[str]().union(*(lost(*pair) for pair in zip(written, read, strict=True)))
    return set() if written == read else {f"{written} became {read}"}


def test_every_panel_has_title_description_unit_and_legend(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["description"].endswith((".", "yaml.")), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for target in panel["targets"]:
            assert target["legendFormat"] or panel["type"] == "table", panel["title"]


def test_no_panel_overlaps_another(dashboard: dict[str, Any]) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for cell in (
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_every_variable_is_used(dashboard: dict[str, Any]) -> None:
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    text = str(dashboard["panels"])
    assert {name for name in ("provider", "model", "instance") if f"${name}" in text} == names - {"datasource"}


def test_exemplars_link_to_traces() -> None:
    (prometheus, jaeger) = yaml.safe_load((GRAFANA / "provisioning/datasources/datasources.yaml").read_text())[
        "datasources"
    ]
    (destination,) = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    assert destination == {"name": "trace_id", "datasourceUid": jaeger["uid"]}
    with_exemplars = {
        panel["title"]
        for board in DASHBOARDS.values()
        for panel in panels(board)
        if any(target["exemplar"] for target in panel["targets"])
    }
    assert with_exemplars >= {"Time to first chunk", "Time to first token, OpenTelemetry", "Duration"}
