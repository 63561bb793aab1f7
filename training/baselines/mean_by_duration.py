"""The mean of workouts that took as long, whoever did them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.workload import Workload
from training.data.splits import Splits

_DURATION = "duration_min"


class MeanByDuration:
    """The `training.baselines.base.Baseline`; linear between the durations of the train part.

    The mean is taken of log(1 + target), which makes the root mean square logarithmic error least.
    """

    name = "mean_by_duration"

    def predict(self, workload: Workload, splits: Splits) -> NDArray[np.float64]:
        """Predict; see `training.baselines.base.Baseline`."""
        column = workload.feature_names.index(_DURATION)
        durations, code = np.unique(splits.train.features[:, column], return_inverse=True)
        means = np.bincount(code, np.log1p(splits.train.target)) / np.bincount(code)
        return np.asarray(np.expm1(np.interp(splits.test.features[:, column], durations, means)))


BASELINE = MeanByDuration()
