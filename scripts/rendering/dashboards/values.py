"""Dashboards as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["timeseries", "stat", "heatmap", "state-timeline", "table"]


@dataclass(frozen=True)
class Query:
    """A query of a panel.

    Attributes:
        expr: PromQL, with Grafana's variables.
        legend: name of a series, of its labels as `{{label}}`.
    """

    expr: str
    legend: str


@dataclass(frozen=True)
class Word:
    """A word that is shown in place of a number."""

    text: str
    color: str


YES_NO: Mapping[float, Word] = {0.0: Word("no", "red"), 1.0: Word("yes", "green")}


@dataclass(frozen=True)
class Panel:
    """A panel of a dashboard.

    Attributes:
        title: short.
        description: what it shows, and what is good or bad.
        queries: at least one.
        unit: as Grafana names it, for example `s`, `percentunit`, `reqps`.
        kind: of the panel.
        width: columns of 24.
        height: in Grafana's units.
        limits: values from which on a colour holds, below which it is green.
        words: meanings of numbers.
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
    """A variable that is chosen above a dashboard.

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
    """A dashboard with its rows of panels.

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
        """The panels of all rows."""
        return (panel for row in self.rows for panel in row.panels)
