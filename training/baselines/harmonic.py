"""Dynamic harmonic regression: the climate of hour and season, and an anomaly that fades.

Source: Hyndman and Athanasopoulos (2021), "Forecasting: principles and practice", 3rd edition, section 10.5.
The mean is a sum of sines and cosines of the day and the year; what is left now decays at a constant rate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.workload import Workload, anchors_of
from training.data.dataset import Dataset
from training.data.splits import Splits

FloatArray = NDArray[np.float64]

_DAY_S = 86_400.0
_YEAR_S = 365.2425 * _DAY_S
_DAY_WAVES = 2


class HarmonicBaseline:
    """A `training.baselines.base.Baseline` for workloads whose first anchor is the last value of the target.

    Args:
        name: in the tables.
        ahead_s: how far ahead of the end of a window its target lies.
    """

    def __init__(self, name: str, ahead_s: float) -> None:
        self.name = name
        self._ahead_s = ahead_s

    def predict(self, workload: Workload, splits: Splits) -> FloatArray:
        """Values for the test part, (n,) in target units."""
        now, later, last = self._parts(workload, splits.train)
        climate, *_ = np.linalg.lstsq(later, splits.train.target, rcond=None)
        anomaly = last - now @ climate
        fading = anomaly @ (splits.train.target - later @ climate) / (anomaly @ anomaly)
        now, later, last = self._parts(workload, splits.test)
        return np.asarray(later @ climate + fading * (last - now @ climate))

    def _parts(self, workload: Workload, part: Dataset) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Waves at the end of the windows and at the time of the targets, and the last values."""
        last = anchors_of(workload, part.features)[:, 0]
        return _waves(part.end_s), _waves(part.end_s + self._ahead_s), last


def _waves(time_s: FloatArray) -> FloatArray:
    """(n, waves): of the day, each also by season, and the year."""
    season = _sines(time_s / _YEAR_S)
    daily = np.hstack([_sines(k * time_s / _DAY_S) for k in range(1, _DAY_WAVES + 1)])
    seasonal = (daily[:, :, None] * season[:, None, :]).reshape(len(time_s), -1)
    return np.hstack([np.ones((len(time_s), 1)), season, daily, seasonal])


def _sines(turns: FloatArray) -> FloatArray:
    angle = 2 * np.pi * (turns % 1.0)
    return np.column_stack([np.sin(angle), np.cos(angle)])


BASELINE = HarmonicBaseline("seasonal", ahead_s=3600.0)
