"""The dashboards: rendered, laid out, explained, and about metrics that exist."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from scripts.rendering.dashboards.files import COMMAND, DASHBOARDS, grafana_files
from scripts.rendering.dashboards.grafana import dashboard_json
from scripts.rendering.dashboards.values import Dashboard
from scripts.rendering.files import stale
from tests.support.metric_names import known_labels
from tests.support.promql import selectors
from training.runtime.settings import REPOSITORY

EACH = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)


def test_the_files_are_what_the_code_renders() -> None:
    assert stale(grafana_files(REPOSITORY)) == [], f"`{COMMAND}` writes them again"


@EACH
def test_panels_ask_for_metrics_and_labels_that_exist(dashboard: Dashboard) -> None:
    known = known_labels()
    for panel in dashboard.panels:
        for query in panel.queries:
            for one in selectors(query.expr):
                assert one.name in known, (panel.title, one)
                assert one.labels <= known[one.name], (panel.title, one)


@EACH
def test_legends_name_labels_that_their_queries_keep(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        for query in panel.queries:
            kept = set(re.findall(r"\w+", " ".join(re.findall(r"\bby \(([^)]*)\)", query.expr))))
            for one in selectors(query.expr):
                kept |= set(one.name.split(":")[0].split("_")) if ":" in one.name else set()
            assert set(re.findall(r"{{(\w+)}}", query.legend)) <= kept, panel.title


@EACH
def test_variables_that_are_used_are_there(dashboard: Dashboard) -> None:
    used = {
        name for panel in dashboard.panels for q in panel.queries for name in re.findall(r"\$(\w+)", q.expr)
    }
    used |= {name for one in dashboard.variables for name in re.findall(r"\$(\w+)", str(one.values))}
    assert used - {"__rate_interval"} == {variable.name for variable in dashboard.variables}


@EACH
def test_panels_are_explained_and_lie_beside_each_other(dashboard: Dashboard) -> None:
    page = dashboard_json(dashboard)
    panels = page["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert all(target["expr"] for target in panel["targets"])
            assert panel["fieldConfig"]["defaults"]["unit"]
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        assert not overlap(one, other)


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size]
        for at, size in (("x", "w"), ("y", "h"))
    )


@EACH
def test_it_is_refreshed_within_half_a_minute(dashboard: Dashboard) -> None:
    assert dashboard_json(dashboard)["refresh"] in ("5s", "10s", "30s")


def test_what_is_provisioned_is_found() -> None:
    provisioning = REPOSITORY / "configs" / "grafana" / "provisioning"
    source: Any = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())
    prometheus: Any = yaml.safe_load((REPOSITORY / "configs" / "prometheus" / "prometheus.yml").read_text())
    (only,) = source["datasources"]
    # a rate over less than some scrapes is empty
    assert only["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    # Ray's dashboards look for it by this name
    assert only["name"] == "Prometheus"
    folders: Any = yaml.safe_load((provisioning / "dashboards" / "folders.yml").read_text())
    assert {one["options"]["path"] for one in folders["providers"]} == {
        "$RAYSONDE_DASHBOARDS",
        "$RAY_DASHBOARDS",
    }


def test_the_json_of_a_small_dashboard() -> None:
    page = json.loads((REPOSITORY / "configs" / "grafana" / "dashboards" / "drift.json").read_text())
    (panel,) = [panel for panel in page["panels"] if panel["title"] == "Detectors" and panel["type"] != "row"]
    assert panel["targets"] == [
        {
            "refId": "A",
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "expr": 'max by (workload, detector, subject) (raysonde_drift_hot{workload=~"$workload"})',
            "legendFormat": "{{workload}} {{detector}} {{subject}}",
            "format": "time_series",
            "instant": False,
            "range": True,
        }
    ]
    assert panel["fieldConfig"]["defaults"]["mappings"] == [
        {
            "type": "value",
            "options": {"0": {"text": "ok", "color": "green"}, "1": {"text": "drifting", "color": "red"}},
        }
    ]
