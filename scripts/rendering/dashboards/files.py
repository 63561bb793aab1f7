"""The JSON files of the dashboards, as `raysonde render grafana` writes them."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.rendering.dashboards.drift import DRIFT
from scripts.rendering.dashboards.grafana import dashboard_json
from scripts.rendering.dashboards.models import MODELS
from scripts.rendering.dashboards.service import SERVICE
from scripts.rendering.dashboards.values import Dashboard

COMMAND = "raysonde render grafana"
DASHBOARDS: tuple[Dashboard, ...] = (SERVICE, MODELS, DRIFT)


def grafana_files(repository: Path) -> dict[Path, str]:
    """Return path and text of each dashboard."""
    folder = repository / "configs" / "grafana" / "dashboards"
    return {
        folder / f"{dashboard.uid.removeprefix('raysonde-')}.json": json.dumps(
            dashboard_json(dashboard), indent=1
        )
        + "\n"
        for dashboard in DASHBOARDS
    }
