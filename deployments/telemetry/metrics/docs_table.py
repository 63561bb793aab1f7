"""The catalogue of metrics as tables for the docs."""

from __future__ import annotations

from deployments.telemetry.metrics.catalogue import COMMON_LABELS, METRICS, Metric, Origin

_TITLES: dict[Origin, str] = {
    "router": "Of each router replica, with the labels `workload` and `replica`",
    "store": "Read from the store, with the label `workload`",
    "system": "Of the system",
}
_KINDS = {"gaugehistogram": "histogram of a window"}


def markdown() -> str:
    """Return a table for each origin, in the order of the catalogue."""
    return "\n\n".join(_table(origin) for origin in COMMON_LABELS)


def _table(origin: Origin) -> str:
    rows = [_row(metric) for metric in METRICS.values() if metric.origin == origin]
    return "\n".join([f"{_TITLES[origin]}:", "", "| metric | kind | labels | |", "|---|---|---|---|", *rows])


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {_KINDS.get(metric.kind, metric.kind)} | {labels} | {metric.help} |"
