"""Whether a region of another level would have held a truth, held against regions that are made at it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.watching.held import held_at
from features.targets import ClassTarget, PathTarget, TargetSpec
from training.evaluation import region_metrics
from training.tasks.base import Predicted, Task
from training.tasks.classification import ClassificationTask
from training.tasks.path import PathTask
from training.tasks.regression import RegressionTask

FloatArray = NDArray[np.float64]

ROWS = 400
LEVELS = (0.5, 0.8, 0.97)


class Plain:
    """A workload that learns its target as it is; the band is as wide everywhere."""

    feature_names = anchor_names = ()
    output_names = ("latitude", "longitude")

    def features(self, raw: FloatArray) -> FloatArray:
        return raw

    def baselines(self, features: FloatArray) -> dict[str, FloatArray]:
        return {}

    def encode_target(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        return target

    def decode_target(self, encoded: FloatArray, anchors: FloatArray) -> FloatArray:
        if encoded.ndim == 1:
            return encoded
        places = encoded[:, None, :] + np.array([[[0.0, 0.0]], [[0.1, 0.1]]]).reshape(1, 2, 2)
        return np.concatenate([places, np.zeros((*places.shape[:2], 1))], axis=2)

    def interval_scale(self, anchors: FloatArray) -> FloatArray:
        return anchors[:, 0]


def numbers(rng: np.random.Generator) -> tuple[Any, Task, FloatArray, FloatArray]:
    target = TargetSpec(name="area_m2", unit="m2", min=-1000, max=1000)
    truth = rng.normal(0, 100, ROWS)
    return target, RegressionTask(target, Plain()), (truth + rng.normal(0, 5, ROWS))[:, None], truth


def classes(rng: np.random.Generator) -> tuple[Any, Task, FloatArray, FloatArray]:
    target = ClassTarget(name="phase", classes=("a", "b", "c"), positive="a")
    said = rng.dirichlet([1.0, 1.0, 1.0], ROWS)
    truth = np.array([rng.choice(3, p=one) for one in said], dtype=np.float64)
    return target, ClassificationTask(target), said, truth


def paths(rng: np.random.Generator) -> tuple[Any, Task, FloatArray, FloatArray]:
    target = PathTarget(name="path", horizons_s=(60, 300))
    task = PathTask(target, Plain())
    said = rng.uniform(-50, 50, (ROWS, 2))
    truth = Plain().decode_target(said + rng.normal(0, 0.05, (ROWS, 2)), said)
    truth[rng.random((ROWS, 2)) < 0.3] = np.nan
    return target, task, said, truth


@pytest.mark.parametrize("make", [numbers, classes, paths])
@pytest.mark.parametrize("level", LEVELS)
def test_a_level_holds_what_regions_made_at_it_hold(make: Any, level: float) -> None:
    target, task, said, truth = make(np.random.default_rng(4))
    anchors = np.zeros((ROWS, 1))
    calibration = task.calibrate(said, truth, anchors, 0.9)
    _, _, said, truth = make(np.random.default_rng(5))
    answers = task.rows(task.predict(said, anchors, calibration), 0.9)
    made = task.predict(said, anchors, calibration, level)
    for row, (answer, value) in enumerate(zip(answers, truth, strict=True)):
        found = held_at(level, task, calibration, answer, value)
        if np.isnan(value).all():
            assert found is None
            continue
        alone = Predicted({name: array[row : row + 1] for name, array in made.arrays.items()})
        assert found == pytest.approx(region_metrics(target, truth[row : row + 1], alone)["coverage"])
