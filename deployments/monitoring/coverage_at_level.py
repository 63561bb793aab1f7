"""The coverage of a region as it would be at another level than it was made at. Pure."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from features.sphere import great_circle_m
from training.runtime.tasks.base import ArmAnswer, Calibration, Task
from training.runtime.tasks.classification import ClassCalibration
from training.runtime.tasks.intervals import IntervalCalibration, widening
from training.runtime.tasks.path import PathCalibration
from training.runtime.tasks.regression import RegressionTask

FloatArray = NDArray[np.float64]

_STRAIGHT = 1e-6
_STEEPEST = 700.0  # of what `math.expm1` takes


def coverage_at_level(
    coverage: float, task: Task, calibration: Calibration, answer: ArmAnswer, truth: FloatArray
) -> float | None:
    """Return 1 if the region at that level holds the truth, 0 if not; for a path the share of known horizons.

    Returns None when no part of the truth is known.
    """
    if np.isnan(truth).all():
        return None
    predicted = task.to_arrays(answer)
    made_at = answer.coverage if answer.level is None else answer.level
    if isinstance(calibration, PathCalibration):
        error_m = great_circle_m(predicted["position"][:, :2], truth[:, :2])
        widened = [
            radius * widening(one.levels, one.scores, made_at, coverage)
            for radius, one in zip(predicted["radius_m"], calibration.horizons, strict=True)
        ]
        known = np.isfinite(error_m)
        return float((error_m <= np.array(widened))[known].mean()) if known.any() else None
    if isinstance(calibration, ClassCalibration):
        probability = predicted["probability"]
        # a set holds the most probable class at least
        return float(probability[int(truth)] >= min(calibration.threshold(coverage), probability.max()))
    assert isinstance(calibration, IntervalCalibration)
    assert isinstance(task, RegressionTask)
    ends = tuple(float(predicted[name]) for name in ("lower", "prediction", "upper"))
    limits = (task.target.minimum, task.target.maximum)
    lower, upper = widened_band(
        ends, widening(calibration.levels, calibration.scores, made_at, coverage), limits
    )
    return float(lower <= truth <= upper)


def widened_band(band: tuple[float, ...], factor: float, limits: tuple[float, float]) -> tuple[float, float]:
    """Return both ends of a band that is so many times as wide in the unit in which the model learns.

    A model learns a number, or the logarithm of one: its band is as wide below as above there, and the ratio
    of the two sides in the target's unit shows how much the unit bends. At the limits of the target a band
    is cut; of one that is, the larger side stands for both.

    Args:
        band: lower end, prediction, upper end.
        factor: at least 0.
        limits: of the target.
    """
    lower, value, upper = band
    below, above = value - lower, upper - value
    if lower <= limits[0] or upper >= limits[1] or below <= 0 or above <= 0:
        reach = factor * max(below, above)
        return value - reach, value + reach
    bend = math.log(above / below)
    return value - below * _growth(factor, -bend), value + above * _growth(factor, bend)


def _growth(factor: float, bend: float) -> float:
    """Return the factor by which one side of a band grows; `factor` where the unit does not bend."""
    if abs(bend) < _STRAIGHT:
        return factor
    return math.expm1(min(factor * bend, _STEEPEST)) / math.expm1(bend)
