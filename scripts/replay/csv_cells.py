"""Answers and truths as cells of a table, by the kind of target; numbers are read back as the very same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from features.sphere import great_circle_m
from features.targets import AnyTarget, ClassTarget, PathTarget
from training.runtime.tasks.base import ArmAnswer
from training.scoring.columns import array_columns

FloatArray = NDArray[np.float64]

_POINT = ("latitude", "longitude", "altitude_m")


def answer_columns(target: AnyTarget) -> list[str]:
    """Names of the cells of `answer_cells`."""
    if isinstance(target, ClassTarget):
        return ["prediction", "probability", "prediction_set"]
    if isinstance(target, PathTarget):
        return [f"{name}_in_{time:g}_s" for time in target.horizons_s for name in (*_POINT, "radius_m")]
    return ["prediction", "lower", "upper"]


def answer_cells(target: AnyTarget, row: ArmAnswer) -> list[str]:
    """Return the cells of an answer."""
    predicted = row.prediction[target.name]
    if isinstance(target, ClassTarget):
        return [predicted, cell(row.prediction["probability"]), " ".join(row.region[target.name])]
    if isinstance(target, PathTarget):
        return [cell(point[name]) for point in predicted for name in (*_POINT, "radius_m")]
    return [cell(value) for value in (predicted, *row.region[target.name])]


def array_cells(target: AnyTarget, arrays: Mapping[str, FloatArray]) -> list[str]:
    """Return the arrays of a prediction, as `array_columns`; empty where a rule has none."""
    found = [text for values in arrays.values() for text in cells(np.ravel(values))]
    return found + [""] * (len(array_columns(target)) - len(found))


def error_columns(target: AnyTarget) -> list[str]:
    """Names of the cells of `error_cells`."""
    if isinstance(target, PathTarget):
        return [f"error_m_in_{time:g}_s" for time in target.horizons_s]
    return [] if isinstance(target, ClassTarget) else ["error"]


def error_cells(target: AnyTarget, arrays: Mapping[str, FloatArray], truth: FloatArray) -> list[str]:
    """Predicted less true, or the distance between them; classes have none."""
    if isinstance(target, PathTarget):
        return cells(great_circle_m(arrays["position"][..., :2], truth[..., :2]))
    return [] if isinstance(target, ClassTarget) else [cell(float(arrays["prediction"] - truth))]


def truth_columns(target: AnyTarget) -> list[str]:
    """Names of the cells of `truth_cells`."""
    if isinstance(target, PathTarget):
        return [f"true_{name}" for name in target.columns(())]
    return [target.name]


def truth_cells(target: AnyTarget, truth: FloatArray) -> list[str]:
    """Return the cells of a truth; empty where it is not known."""
    if isinstance(target, ClassTarget):
        return [target.to_json(truth) or ""]
    return cells(np.atleast_1d(truth).ravel())


def cells(values: Iterable[float]) -> list[str]:
    """`cell` of each."""
    return [cell(value) for value in values]


def cell(value: float) -> str:
    """Return the shortest text that is read back as this number; empty for NaN."""
    return "" if math.isnan(value) else repr(float(value))
