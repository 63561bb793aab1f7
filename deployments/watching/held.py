"""Whether a region would have held a truth, had it been made at another level than it was. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deployments.watching.levels import score_at, widening
from features.sphere import great_circle_m
from training.intervals import IntervalCalibration
from training.tasks.base import Calibration, Row, Task
from training.tasks.classification import ClassCalibration
from training.tasks.path import PathCalibration

FloatArray = NDArray[np.float64]


def held_at(
    coverage: float, task: Task, calibration: Calibration, answer: Row, truth: FloatArray
) -> float | None:
    """1 if the region at that level holds the truth, 0 if not; of a path the share of the known horizons.

    None when nothing of the truth is known. A band is widened in the target's unit, where it was made in what
    the model learns: the same where that is a multiple of the target, and nearly so where a band is narrow.
    """
    if np.isnan(truth).all():
        return None
    said = task.of_row(answer)
    if isinstance(calibration, PathCalibration):
        error_m = great_circle_m(said["position"][:, :2], truth[:, :2])
        widened = [
            radius * widening(one.levels, one.scores, answer.coverage, coverage)
            for radius, one in zip(said["radius_m"], calibration.horizons, strict=True)
        ]
        known = np.isfinite(error_m)
        return float((error_m <= np.array(widened))[known].mean()) if known.any() else None
    if isinstance(calibration, ClassCalibration):
        probability = said["probability"]
        threshold = 1 - score_at(calibration.levels, calibration.scores, coverage)
        # a set holds the most probable class at least
        return float(probability[int(truth)] >= min(threshold, probability.max()))
    assert isinstance(calibration, IntervalCalibration)
    value, lower, upper = (float(said[name]) for name in ("prediction", "lower", "upper"))
    factor = widening(calibration.levels, calibration.scores, answer.coverage, coverage)
    return float(value - factor * (value - lower) <= truth <= value + factor * (upper - value))
