"""The JSON of a dashboard as Grafana provisions it (schema 39, Grafana 10 and later)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.rendering.dashboards.values import Dashboard, Kind, Panel, Query, Row, Variable

Json = dict[str, Any]

# A viewer chooses it; the one that is provisioned is the first.
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

_LINKED = {"keepTime": True, "includeVars": True}
_COLUMNS = 24
_ROW_HEIGHT = 1


def dashboard_json(dashboard: Dashboard) -> Json:
    """Return the whole JSON of a dashboard."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["raysonde"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {"refresh_intervals": ["5s", "10s", "30s"]},
        "templating": {"list": [_datasource_json(), *map(_variable_json, dashboard.variables)]},
        "annotations": {"list": [_alerts_json()]},
        "links": [{"type": "dashboards", "tags": ["raysonde"], "title": "raysonde", **_LINKED}],
        "panels": _laid_out(dashboard.rows),
    }


def _laid_out(rows: tuple[Row, ...]) -> list[Json]:
    placed: list[Json] = []
    top = 0
    for row in rows:
        grid = {"x": 0, "y": top, "w": _COLUMNS, "h": _ROW_HEIGHT}
        placed.append(
            {"id": len(placed) + 1, "type": "row", "title": row.title, "gridPos": grid, "panels": []}
        )
        top += _ROW_HEIGHT
        left = line_height = 0
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                top, left, line_height = top + line_height, 0, 0
            grid = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            placed.append({"id": len(placed) + 1, "gridPos": grid, **_panel_json(panel)})
            left, line_height = left + panel.width, max(line_height, panel.height)
        top += line_height
    return placed


def _panel_json(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": _field_json(panel), "overrides": []},
        "options": _options_json(panel),
        "targets": [_target_json(panel, "ABCDEFGH"[i], query) for i, query in enumerate(panel.queries)],
        **({"transformations": [_LABELS_ONLY]} if panel.kind == "table" else {}),
    }


def _field_json(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    steps += [{"color": color, "value": value} for value, color in panel.limits]
    words = {f"{value:g}": {"text": word.text, "color": word.color} for value, word in panel.words.items()}
    found: Json = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": [{"type": "value", "options": words}] if words else [],
    }
    if panel.minimum is not None:
        found["min"] = panel.minimum
    if panel.maximum is not None:
        found["max"] = panel.maximum
    if panel.kind == "timeseries":
        found["custom"] = {
            "fillOpacity": 30 if panel.stacked else 5,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "line" if panel.limits else "off"},
        }
    return found


def _options_json(panel: Panel) -> Json:
    of_axis = {"yAxis": {"unit": panel.unit}} if panel.kind == "heatmap" else {}
    return {**_OPTIONS[panel.kind], **of_axis}


def _target_json(panel: Panel, letter: str, query: Query) -> Json:
    is_table = panel.kind == "table"
    return {
        "refId": letter,
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "format": {"heatmap": "heatmap", "table": "table"}.get(panel.kind, "time_series"),
        "instant": is_table,
        "range": not is_table,
    }


_LEGEND = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
_OPTIONS: Mapping[Kind, Json] = {
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
        "graphMode": "none",
        "textMode": "value_and_name",
    },
    "heatmap": {"calculate": False, "color": {"mode": "scheme", "scheme": "Oranges"}, "cellGap": 0},
    "state-timeline": {"showValue": "auto", "mergeValues": True, "legend": {"displayMode": "list"}},
    "table": {"showHeader": True},
}
_LABELS_ONLY: Json = {
    "id": "organize",
    "options": {"excludeByName": dict.fromkeys(("Time", "Value", "__name__", "instance", "job"), True)},
}


def _datasource_json() -> Json:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "data source"}


def _variable_json(variable: Variable) -> Json:
    several = {"multi": True, "includeAll": True, "allValue": ".*"} if variable.several else {}
    chosen = {"text": ["All"], "value": ["$__all"]} if variable.several else {}
    if isinstance(variable.values, str):
        return {
            "name": variable.name,
            "type": "query",
            "datasource": DATASOURCE,
            "query": {"query": variable.values, "refId": variable.name},
            "refresh": 2,
            "sort": 1,
            "current": chosen,
            **several,
        }
    options = [{"text": one, "value": one, "selected": not i} for i, one in enumerate(variable.values)]
    return {
        "name": variable.name,
        "type": "custom",
        "query": ",".join(variable.values),
        "options": options,
        "current": chosen or {"text": variable.values[0], "value": variable.values[0]},
        **several,
    }


def _alerts_json() -> Json:
    return {
        "name": "alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertstate="firing", workload=~"$workload|all"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{workload}} {{arm}}",
    }
