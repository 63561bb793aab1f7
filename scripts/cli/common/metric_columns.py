"""Models as cells of the tables in the terminal: what metrics there are decides which columns there are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A metric in a table.

    Attributes:
        heading: of the column.
        metric: its name on the card of a model.
        form: of a number, as `str.format` takes it.
    """

    heading: str
    metric: str
    form: str

    def cell(self, metrics: Mapping[str, float]) -> str:
        """Return the value as text, empty if there is none."""
        return self.form.format(metrics[self.metric]) if self.metric in metrics else ""


_NUMBERS = (
    Column("RMSLE", "rmsle", "{:.4f}"),
    Column("MAE", "mae", "{:.4g}"),
    Column("RMSE", "rmse", "{:.4g}"),
    Column("APE", "median_ape_percent", "{:.2f} %"),
)
_CLASSES = (
    Column("F1", "f1", "{:.4f}"),
    Column("prec.", "precision", "{:.3f}"),
    Column("recall", "recall", "{:.3f}"),
    Column("AUC", "roc_auc", "{:.3f}"),
)
_PATHS = (Column("error", "mean_error_m", "{:,.0f}"),)
_REGIONS = (
    Column("coverage", "coverage", "{:.1%}"),
    Column("width", "mean_width", "{:.4g}"),
)
_HORIZON = re.compile(r"mean_error_(.+)_s_m")


def metric_columns(metrics: Mapping[str, float]) -> tuple[Column, ...]:
    """Return all columns; the logarithmic error replaces the RMSE, horizons replace their mean."""
    horizons = tuple(
        Column(f"{found[1]} s", name, "{:,.0f}") for name in metrics if (found := _HORIZON.fullmatch(name))
    )
    left_out = "rmse" if "rmsle" in metrics else ""
    order = (*_NUMBERS, *_CLASSES, *(horizons or _PATHS), *_REGIONS)
    return tuple(one for one in order if one.metric in metrics and one.metric != left_out)


def main_metric_columns(all_metrics: Sequence[Mapping[str, float]]) -> tuple[Column, ...]:
    """Return the two columns that say most about models with these metrics, and the coverage."""
    common = set.intersection(*(set(metrics) for metrics in all_metrics)) if all_metrics else set()
    shown = [one for one in (*_NUMBERS, *_CLASSES, *_PATHS) if one.metric in common and one.metric != "rmse"]
    # of the two ways to count a relative error the logarithmic one is what its models are compared by
    leading = [one for one in shown if not (one.metric == "mae" and "rmsle" in common)]
    return (*leading[:2], *(one for one in _REGIONS if one.metric == "coverage"))


def short_hash(bundle: str) -> str:
    """Return the first digits of a content hash, enough to tell bundles apart."""
    return bundle.removeprefix("sha256:")[:10]
