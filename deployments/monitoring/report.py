"""The drift report for readers: Evidently's HTML page over rows of the window and the reference.

Evidently takes two seconds and 200 MB to import, and a tenth of a second a feature, see `report_process`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]

MOST_ROWS = 2000
_DRIFT_SHARE = 0.5
# Of the largest value of a feature: what a sum or a slope of equal samples leaves.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class DriftReport:
    """The result of Evidently.

    Attributes:
        html: a page without links to other files.
        distances: Wasserstein distance of each feature over the reference's standard deviation.
        drifted_share: of the features that are farther than the threshold.
    """

    html: str
    distances: dict[str, float]
    drifted_share: float


def make_report(
    names: tuple[str, ...], reference: FloatArray, current: FloatArray, threshold: float
) -> DriftReport:
    """Compare live features with those of the reference.

    Args:
        names: of the features.
        reference, current: (n, features) or (n, steps, features); every step is a row.
        threshold: distance at which a feature counts as drifted.
    """
    # before Evidently comes: arrays that do not fit are refused at once
    frames = [_frame(names, rows) for rows in _without_noise(current, reference)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses names that NumPy has deprecated
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        definition = DataDefinition(numerical_columns=list(names))
        datasets = [Dataset.from_pandas(frame, definition) for frame in frames]
        preset = DataDriftPreset(
            num_method="wasserstein", num_threshold=threshold, drift_share=_DRIFT_SHARE, columns=list(names)
        )
        snapshot = Report([preset]).run(*datasets)
        html = snapshot.get_html_str(as_iframe=False)
    whole, *each = snapshot.dict()["metrics"]
    distances = {one["config"]["column"]: float(one["value"]) for one in each}
    return DriftReport(html, distances, float(whole["value"]["share"]))


def _without_noise(current: FloatArray, reference: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return both with features constant that differ by rounding alone: no histogram has bins so narrow."""
    both = (current.reshape(-1, current.shape[-1]), reference.reshape(-1, reference.shape[-1]))
    largest = np.maximum(*(np.abs(rows).max(axis=0, initial=0.0) for rows in both))
    rounding = _ROUNDING * largest + np.finfo(np.float64).tiny
    first, second = (_snapped(rows, rounding) for rows in both)
    # the two may be constants that differ by rounding
    same = np.abs(first - second[:1]).max(axis=0, initial=0.0) <= rounding
    return np.where(same, second[:1], first), second


def _snapped(rows: FloatArray, rounding: FloatArray) -> FloatArray:
    constant = np.ptp(rows, axis=0) <= rounding
    return np.where(constant, rows[:1], rows)


def _frame(names: tuple[str, ...], features: FloatArray) -> pd.DataFrame:
    import pandas as pd

    flat = features.reshape(-1, features.shape[-1])
    return pd.DataFrame(flat[:: -(-len(flat) // MOST_ROWS)], columns=list(names))
