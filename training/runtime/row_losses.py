"""Losses of single answers, so that two models can be compared row by row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.sphere import great_circle_m
from features.targets import AnyTarget, ClassTarget, PathTarget
from training.runtime.tasks.base import Predicted

FloatArray = NDArray[np.float64]


def row_losses(target: AnyTarget, truth: FloatArray, predicted: Predicted) -> FloatArray:
    """(n,) the loss whose mean the target's metric is, or is the root of.

    Of a class it is the Brier score (Brier 1950), in [0, 2], since an F1 has no rows; of a path the mean
    distance at the horizons that are known.
    """
    if isinstance(target, ClassTarget):
        is_true = np.equal(truth[:, None], np.arange(len(target.classes)))
        return np.asarray(np.square(predicted["probability"] - is_true).sum(axis=1))
    if isinstance(target, PathTarget):
        return np.asarray(np.nanmean(great_circle_m(predicted["position"][..., :2], truth[..., :2]), axis=1))
    value = predicted["prediction"]
    if target.metric == "rmsle":
        return np.asarray(np.square(np.log1p(value) - np.log1p(truth)))
    error = np.abs(value - truth)
    return np.square(error) if target.metric == "rmse" else error


def rows_inside(target: AnyTarget, truth: FloatArray, predicted: Predicted) -> FloatArray:
    """(n,) share of the truths of a row that its region holds: 0 or 1, of a path anything between."""
    if isinstance(target, ClassTarget):
        return predicted["member"][np.arange(len(truth)), truth.astype(np.int64)]
    if isinstance(target, PathTarget):
        error_m = great_circle_m(predicted["position"][..., :2], truth[..., :2])
        inside = np.where(np.isfinite(error_m), error_m <= predicted["radius_m"], np.nan)
        return np.asarray(np.nanmean(inside, axis=1))
    inside = (predicted["lower"] <= truth) & (truth <= predicted["upper"])
    return inside.astype(np.float64)
