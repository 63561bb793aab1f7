"""Sums of errors over pairs of prediction and truth, and the metrics made from them. Pure.

The metrics are those of `training.pipeline.evaluation`, and a test compares the two. Here they are
sums first, since a window is thousands of rows and only sums can be merged. Medians and ROC curves are no
sums, and are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from features.sphere import great_circle_m
from features.targets import AnyTarget, ClassTarget, PathTarget, TargetSpec
from training.runtime.tasks.base import ArmAnswer, Task

FloatArray = NDArray[np.float64]

# What all tasks have: pairs; regions (one a horizon for paths) whose truth is known, those that held it,
# the sum of their nominal coverages, and of their sizes.
COMMON = ("truths", "regions", "inside", "nominal", "size")

# As scikit-learn clips float64 probabilities before it takes logarithms.
_LEAST_PROBABILITY = float(np.finfo(np.float64).eps)


class Measures(Protocol):
    """The sums of one task.

    Attributes:
        names: of the sums, `COMMON` first.
    """

    names: tuple[str, ...]

    def sums(self, row: ArmAnswer, truth: FloatArray) -> FloatArray | None:
        """Return what one pair adds to the sums, (names,); None when no part of the truth is known.

        Raises:
            KeyError, ValueError, TypeError, IndexError: the answer is not one of this target.
        """
        ...

    def metrics(self, total: FloatArray) -> dict[str, float]:
        """Return the metrics of sums, (names,); those that are not defined are left out."""
        ...


def make_measures(target: AnyTarget, task: Task) -> Measures:
    """Make the measures of a workload's task."""
    if isinstance(target, ClassTarget):
        return ClassMeasures(target)
    if isinstance(target, PathTarget):
        return PathMeasures(target, task)
    return NumberMeasures(target)


class NumberMeasures:
    """The sums of a task that predicts one number with a band."""

    def __init__(self, target: TargetSpec) -> None:
        self._name = target.name
        self._logs = target.metric == "rmsle"
        own = ("absolute_error", "squared_error")
        self.names: tuple[str, ...] = (*COMMON, *own, *(("squared_log_error",) if self._logs else ()))

    def sums(self, row: ArmAnswer, truth: FloatArray) -> FloatArray | None:
        """Implement `Measures.sums`."""
        value = float(truth)
        if math.isnan(value):
            return None
        predicted = float(row.prediction[self._name])
        lower, upper = row.region[self._name]
        error = abs(predicted - value)
        sums = [1.0, 1.0, float(lower <= value <= upper), row.coverage, upper - lower, error, error * error]
        if self._logs:
            sums.append((math.log1p(predicted) - math.log1p(value)) ** 2)
        return np.array(sums)

    def metrics(self, total: FloatArray) -> dict[str, float]:
        """Return MAE, RMSE, and RMSLE where that is the target's metric; coverage and mean width."""
        truths = total[0]
        if not truths:
            return {}
        found = {"mae": float(total[5] / truths), "rmse": math.sqrt(total[6] / truths)}
        if self._logs:
            found["rmsle"] = math.sqrt(total[7] / truths)
        return found | _regions(total, "mean_width")


class ClassMeasures:
    """The sums of a task that predicts one of several classes with a set of them."""

    def __init__(self, target: ClassTarget) -> None:
        self._target = target
        own = ("hits", "log_loss", "true_positives", "false_positives", "false_negatives")
        self.names: tuple[str, ...] = (*COMMON, *own)

    def sums(self, row: ArmAnswer, truth: FloatArray) -> FloatArray | None:
        """Implement `Measures.sums`."""
        if np.isnan(truth):
            return None
        target = self._target
        true, predicted = target.classes[int(truth)], row.prediction[target.name]
        probability = float(row.prediction["probabilities"][true])
        members = row.region[target.name]
        is_true, is_positive = true == target.positive, predicted == target.positive
        return np.array(
            [
                1.0,
                1.0,
                true in members,
                row.coverage,
                len(members),
                predicted == true,
                -math.log(min(max(probability, _LEAST_PROBABILITY), 1.0)),
                is_true and is_positive,
                is_positive and not is_true,
                is_true and not is_positive,
            ],
            dtype=np.float64,
        )

    def metrics(self, total: FloatArray) -> dict[str, float]:
        """Return accuracy, log loss, precision, recall, F1 of the positive class; coverage and mean size."""
        truths = total[0]
        if not truths:
            return {}
        hits, false_alarms, misses = total[7:10].tolist()
        found = {"accuracy": float(total[5] / truths), "log_loss": float(total[6] / truths)}
        if hits + false_alarms:
            found["precision"] = hits / (hits + false_alarms)
        if hits + misses:
            found["recall"] = hits / (hits + misses)
            found["f1"] = 2 * hits / (2 * hits + false_alarms + misses)
        return found | _regions(total, "mean_set_size")


class PathMeasures:
    """The sums of a task that predicts a path, each point with a circle around it."""

    def __init__(self, target: PathTarget, task: Task) -> None:
        self._task = task
        self._horizons = [f"{time_s:g}_s" for time_s in target.horizons_s]
        altitude = ("altitudes", "altitude_error_m")
        errors = (f"error_{name}_m" for name in self._horizons)
        self.names: tuple[str, ...] = (
            *COMMON,
            *altitude,
            *(f"known_{name}" for name in self._horizons),
            *errors,
        )

    def sums(self, row: ArmAnswer, truth: FloatArray) -> FloatArray | None:
        """Implement `Measures.sums`. The size is that of circles whose place became known."""
        predicted = self._task.to_arrays(row)
        error_m = great_circle_m(predicted["position"][:, :2], truth[:, :2])
        known = np.isfinite(error_m)
        count = int(known.sum())
        if not count:
            return None
        radius_m = predicted["radius_m"][known]
        altitude_m = np.abs(predicted["position"][:, 2] - truth[:, 2])
        altitude_m = altitude_m[np.isfinite(altitude_m)]
        common = [
            1.0,
            count,
            int((error_m[known] <= radius_m).sum()),
            row.coverage * count,
            float(radius_m.sum()),
        ]
        own = [len(altitude_m), float(altitude_m.sum())]
        return np.concatenate([common, own, known, np.where(known, error_m, 0.0)])

    def metrics(self, total: FloatArray) -> dict[str, float]:
        """Return the mean error over all horizons, at each, and of the altitude; coverage and mean radius."""
        if not total[0]:
            return {}
        own = total[len(COMMON) :]
        number = len(self._horizons)
        known, error_m = own[2 : 2 + number], own[2 + number :]
        found = {"mean_error_m": float(error_m.sum() / known.sum())}
        for name, count, sum_m in zip(self._horizons, known, error_m, strict=True):
            if count:
                found[f"mean_error_{name}_m"] = float(sum_m / count)
        if own[0]:
            found["mean_altitude_error_m"] = float(own[1] / own[0])
        return found | _regions(total, "mean_radius_m")


def _regions(total: Sequence[float] | FloatArray, size: str) -> dict[str, float]:
    _, regions, inside, nominal, sizes = (float(value) for value in total[: len(COMMON)])
    if not regions:
        return {}
    return {"coverage": inside / regions, "nominal_coverage": nominal / regions, size: sizes / regions}
