"""The loss of one answer, and whether its region holds the truth."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from features.targets import ClassTarget, PathTarget, TargetSpec
from training.runtime.row_losses import row_losses, rows_inside
from training.runtime.tasks.base import Predicted

PHASE = ClassTarget(name="phase", classes=("a", "b", "c"), positive="b")
PATH = PathTarget(name="path", horizons_s=(60, 300))
NAN = float("nan")
# of an arc of one thousandth of a degree
METRES = 111.19


def number(metric: Literal["mae", "rmse", "rmsle"]) -> TargetSpec:
    return TargetSpec(name="area_m2", unit="m2", minimum=0, maximum=1000, metric=metric)


@pytest.mark.parametrize(
    ("metric", "losses"), [("mae", [3, 2]), ("rmse", [9, 4]), ("rmsle", [np.log(2) ** 2, np.log(7 / 9) ** 2])]
)
def test_numbers(metric: Literal["mae", "rmse", "rmsle"], losses: list[float]) -> None:
    predicted = Predicted({"prediction": np.array([5.0, 6.0])})
    assert row_losses(number(metric), np.array([2.0, 8.0]), predicted) == pytest.approx(losses)


def test_a_band_holds_its_ends() -> None:
    truth = np.array([1.999, 2.0, 3.0, 4.0, 4.001])
    ends = {"prediction": np.full(5, 3.0), "lower": np.full(5, 2.0), "upper": np.full(5, 4.0)}
    assert rows_inside(number("mae"), truth, Predicted(ends)).tolist() == [0, 1, 1, 1, 0]


def test_classes() -> None:
    probability, member = np.array([[0.5, 0.3, 0.2]] * 3), np.array([[1.0, 1.0, 0.0]] * 3)
    predicted, truth = Predicted({"probability": probability, "member": member}), np.array([0.0, 1.0, 2.0])
    losses = [0.25 + 0.09 + 0.04, 0.25 + 0.49 + 0.04, 0.25 + 0.09 + 0.64]
    assert row_losses(PHASE, truth, predicted) == pytest.approx(losses)
    assert rows_inside(PHASE, truth, predicted).tolist() == [1, 1, 0]


def test_paths_are_measured_where_they_are_known() -> None:
    """At their edges too: a place that was hit exactly is in a circle without a size."""
    places = [[0.0, 10.0, 5.0], [0.0, 20.0, 5.0]]
    position, radius_m = np.array([places] * 4), np.array([[0.0, 112.0]] * 4)
    predicted = Predicted({"position": position, "radius_m": radius_m})
    truth = position.copy()
    truth[0, 1] += [0.001, 0, 900]
    truth[1, 1] += [0.0, 0.002, 0]
    truth[2, 0] += [0.002, 0, 0]
    truth[2, 1] = NAN
    truth[3, 0] = NAN
    metres = np.array([METRES / 2, METRES, 2 * METRES, 0])
    assert row_losses(PATH, truth, predicted) == pytest.approx(metres, rel=1e-3)
    assert rows_inside(PATH, truth, predicted).tolist() == [1, 0.5, 0, 1]
