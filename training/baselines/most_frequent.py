"""A baseline that predicts how often each class occurs in the train part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.workload import Workload
from training.data.splits import Splits


class MostFrequent:
    """`training.baselines.base.Baseline`; the most frequent class is always the most probable one."""

    name = "most_frequent"

    def predict(self, workload: Workload, splits: Splits) -> NDArray[np.float64]:
        """(n, classes) shares of the train part, the same for every row."""
        classes = 1 + int(max(splits.train.target.max(), splits.test.target.max()))
        counts = np.bincount(splits.train.target.astype(np.int64), minlength=classes)
        return np.tile(counts / counts.sum(), (len(splits.test.target), 1))


BASELINE = MostFrequent()
