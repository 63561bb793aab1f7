"""How good predictions are, in target units. Every row counts the same, as it does in service."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.inference import Predicted

FloatArray = NDArray[np.float64]


def point_metrics(truth: FloatArray, value: FloatArray, metric: str = "mae") -> dict[str, float]:
    """Mean absolute, root mean square and median absolute percentage error of values (n,).

    Also `rmsle`, the root mean square of the difference of log(1 + value), where that is the metric.
    """
    error = value - truth
    # a truth of 0 has no percentage: its row is left out
    share = np.abs(error[truth != 0] / truth[truth != 0])
    found = {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "median_ape_percent": float(np.median(share)) * 100 if len(share) else 0.0,
    }
    if metric == "rmsle":
        found["rmsle"] = float(np.sqrt(np.square(np.log1p(value) - np.log1p(truth)).mean()))
    return found


def band_metrics(truth: FloatArray, predicted: Predicted) -> dict[str, float]:
    """Share of truths inside the band, ends included, and its mean width."""
    inside = (predicted.lower <= truth) & (truth <= predicted.upper)
    return {"coverage": float(inside.mean()), "mean_width": float((predicted.upper - predicted.lower).mean())}
