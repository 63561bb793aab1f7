"""Dashboards as values, and the JSON that Grafana reads (schema 39, Grafana 10 and later)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["timeseries", "stat", "heatmap", "state-timeline", "table"]
Json = dict[str, Any]

# Whoever looks at a dashboard chooses it; the one that is provisioned is the first.
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

_COLUMNS = 24
_ROW_HEIGHT = 1
_SCHEMA = 39


@dataclass(frozen=True)
class Query:
    """One query of a panel.

    Attributes:
        expr: PromQL, with Grafana's variables.
        legend: name of a series, of its labels as `{{label}}`.
    """

    expr: str
    legend: str


@dataclass(frozen=True)
class Word:
    """What is shown in place of a number."""

    text: str
    color: str


YES_NO: Mapping[float, Word] = {0.0: Word("no", "red"), 1.0: Word("yes", "green")}


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: short.
        description: what it shows, and what is good or bad.
        queries: at least one.
        unit: as Grafana names it, for example `s`, `percentunit`, `reqps`.
        kind: of the panel.
        width: columns of 24.
        height: in Grafana's units.
        limits: values from which on a colour holds, below which it is green.
        words: what numbers mean.
        minimum: lower end of the axis; None: as it comes.
        maximum: upper end.
        stacked: whether series are put on each other.
    """

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    limits: tuple[tuple[float, str], ...] = ()
    words: Mapping[float, Word] = field(default_factory=dict)
    minimum: float | None = 0.0
    maximum: float | None = None
    stacked: bool = False


@dataclass(frozen=True)
class Row:
    """Panels under a heading, left to right, and into the next line where one is full."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """What can be chosen above a dashboard.

    Attributes:
        name: `$name` in queries.
        values: a query for values, `label_values(...)`, or the values themselves.
        several: whether more than one can be chosen, or all, as at first.
    """

    name: str
    values: str | tuple[str, ...]
    several: bool = True


@dataclass(frozen=True)
class Dashboard:
    """One dashboard.

    Attributes:
        uid: in its address; never to be changed.
        title: after which it is listed.
        description: what it is for.
        variables: beside the data source.
        rows: from above.
    """

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]

    @property
    def panels(self) -> Iterator[Panel]:
        """All of them."""
        return (panel for row in self.rows for panel in row.panels)

    def json(self) -> Json:
        """As Grafana provisions it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["raysonde"],
            "schemaVersion": _SCHEMA,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "timepicker": {"refresh_intervals": ["5s", "10s", "30s"]},
            "templating": {"list": [_datasource_json(), *map(_variable_json, self.variables)]},
            "annotations": {"list": [_alerts_json()]},
            "links": [{"type": "dashboards", "tags": ["raysonde"], "title": "raysonde", "keepTime": True}],
            "panels": _laid_out(self.rows),
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
        "options": _OPTIONS[panel.kind],
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
    "state-timeline": {"showValue": "never", "mergeValues": True, "legend": {"displayMode": "list"}},
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
