"""Writes the dashboards as the JSON that Grafana provisions: `make dashboards`."""

from __future__ import annotations

from pathlib import Path

from client import CLIENT
from cost import COST
from gap import GAP
from grafana import dashboard_json
from server import SERVER

TARGET = Path(__file__).parents[1] / "dashboards"


def main() -> None:
    """Write all of them."""
    for name, dashboard in {"client": CLIENT, "server": SERVER, "gap": GAP, "cost": COST}.items():
        (TARGET / f"{name}.json").write_text(dashboard_json(dashboard))


if __name__ == "__main__":
    main()
