"""Paths: places at several times, and the circles around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from features.sphere import EARTH_RADIUS_M
from features.targets import PathTarget
from training.runtime.tasks.base import Predicted
from training.runtime.tasks.intervals import IntervalCalibration
from training.runtime.tasks.path import PathCalibration, PathTask

TARGET = PathTarget(name="path", horizons_s=(60, 300))
DEGREE_M = EARTH_RADIUS_M * np.pi / 180


@dataclass
class Plain:
    """What is learnt are the places themselves; circles widen with the first anchor."""

    feature_names = ("x",)
    anchor_names = ("x",)
    output_names: ClassVar[tuple[str, ...]] = ("lat1", "lon1", "alt1", "lat2", "lon2", "alt2")
    output_groups: Any = (("lat1", "lon1"), ("lat2", "lon2"))

    def features(self, raw: Any) -> Any:
        return raw

    def baselines(self, features: Any) -> Any:
        return {}

    def encode_target(self, target: Any, anchors: Any) -> Any:
        return target.reshape(len(target), 6)

    def decode_target(self, encoded: Any, anchors: Any) -> Any:
        return encoded.reshape(len(encoded), 2, 3)

    def interval_scale(self, anchors: Any) -> Any:
        return anchors[:, 0]


TASK = PathTask(TARGET, Plain())
PLACES = np.array([[[47.0, 8.0, 500.0], [48.0, 9.0, -2000.0]]])


def radius(base_m: float) -> IntervalCalibration:
    return IntervalCalibration(
        coverage=0.9, knots=(0, 10), scales=(base_m, 3 * base_m), levels=(0.5, 0.9), scores=(1, 2)
    )


CALIBRATION = PathCalibration(coverage=0.9, horizons=(radius(100.0), radius(1000.0)))


def predict(coverage: float | None = None) -> Predicted:
    return TASK.predict(PLACES.reshape(1, 6), np.array([[5.0]]), CALIBRATION, coverage)


def test_circles_are_those_of_their_horizon_and_of_the_row() -> None:
    assert predict()["radius_m"].tolist() == [[400.0, 4000.0]]
    assert predict(0.5)["radius_m"].tolist() == [[200.0, 2000.0]]
    assert predict()["position"].tolist() == [[[47.0, 8.0, 500.0], [48.0, 9.0, -1000.0]]]
    high = PLACES.copy()
    high[0, 0, 2] = 2e8
    found = TASK.predict(high.reshape(1, 6), np.array([[5.0]]), CALIBRATION)
    assert found["position"][0, 0].tolist() == [47.0, 8.0, 1e8]


def test_a_model_that_is_not_calibrated_has_circles_without_a_width() -> None:
    unknown = TASK.uncalibrated(0.8)
    assert (unknown.coverage, len(unknown.horizons)) == (0.8, 2)
    assert TASK.predict(PLACES.reshape(1, 6), np.array([[5.0]]), unknown)["radius_m"].tolist() == [[0, 0]]


def test_radii_hold_what_they_should_at_each_horizon_by_the_truths_that_are_known() -> None:
    rows = 1000
    outputs = np.zeros((rows, 6))
    truth = np.zeros((rows, 2, 3))
    truth[:, 0, 0] = np.arange(1, rows + 1) / DEGREE_M  # 1 m to 1 km
    truth[:, 1, 1] = 10 * np.arange(1, rows + 1) / DEGREE_M
    truth[::2, 1] = np.nan
    found = TASK.calibrate(outputs, truth, np.zeros((rows, 1)), 0.9)
    near, far = (one.half_width(np.zeros(1))[0] for one in found.horizons)
    assert near == pytest.approx(901.0, rel=1e-6)
    assert far == pytest.approx(9020.0, rel=1e-6), "of the 500 that are known, the 451st"
    groups = np.arange(rows) // 100
    grouped = TASK.calibrate(outputs, truth, np.zeros((rows, 1)), 0.9, groups)
    assert grouped.horizons[0].half_width(np.zeros(1))[0] == pytest.approx(990.0), "ten count, not a thousand"


def test_outputs_of_a_group_have_one_scale() -> None:
    encoded = np.array(
        [[0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [2.0, 14.0, 4.0, 2.0, np.nan, 3.0], [1, 7, 2, 1, 8, 2]]
    )
    scaler = TASK.fit_target_scaler(encoded)
    own = [np.nanstd(column) for column in encoded.T]
    both = [np.sqrt((own[i] ** 2 + own[i + 1] ** 2) / 2) for i in (0, 3)]
    assert scaler.scale == pytest.approx([both[0], both[0], own[2], both[1], both[1], own[5]])
    assert scaler.mean == pytest.approx([1, 7, 2, 1, 4, 2])
    assert (scaler.names, scaler.count) == (Plain.output_names, 2)


def test_an_answer_and_back() -> None:
    predicted = predict()
    (row,) = TASK.answers(predicted, 0.9)
    first, second = row.prediction["path"]
    assert first == {"time_s": 60, "latitude": 47.0, "longitude": 8.0, "altitude_m": 500.0, "radius_m": 400.0}
    assert (second["time_s"], second["radius_m"]) == (300, 4000.0)
    assert (row.region, row.coverage) == ({}, 0.9)
    for name, array in TASK.to_arrays(row).items():
        np.testing.assert_array_equal(array, predicted[name][0])


def test_the_error_is_the_mean_distance_over_what_is_known() -> None:
    (row,) = TASK.answers(predict(), 0.9)
    truth = np.array([[48.0, 8.0, 0.0], [np.nan] * 3])
    assert TASK.error(row, truth) == pytest.approx(DEGREE_M)
    truth[1] = [48.0, 9.0, np.nan]
    assert TASK.error(row, truth) == pytest.approx(DEGREE_M / 2)
    assert np.isnan(TASK.error(row, np.full((2, 3), np.nan)))


def test_a_blend_lies_in_the_middle() -> None:
    other = Predicted(
        {"position": predict()["position"] + [0.0, 0.0, 100.0], "radius_m": np.array([[0.0, 8e3]])}
    )
    found = TASK.blend([predict(), other], np.array([0.25, 0.75]))
    assert found["radius_m"].tolist() == [[100.0, 7000.0]]
    np.testing.assert_allclose(found["position"], predict()["position"] + [0.0, 0.0, 75.0], rtol=1e-12)


def test_how_far_outputs_may_be_off() -> None:
    tolerances = TASK.tolerances(predict())
    assert tolerances["position"].tolist() == [[[1, 1, 1000.0], [1, 1, 1000.0]]]
    assert tolerances["radius_m"].tolist() == [[4000.0, 4000.0]]
    high = Predicted({"position": np.array([[[0, 0, 3.0], [0, 0, -9e3]]]), "radius_m": np.ones((1, 2))})
    assert TASK.tolerances(high)["position"][..., 2].tolist() == [[9e3, 9e3]]


def test_a_workload_without_outputs_cannot_be_a_path() -> None:
    class Nameless(Plain):
        output_names = ()

    with pytest.raises(TypeError, match="Nameless: has no output_names, expected for a path"):
        PathTask(TARGET, Nameless())


def test_groups_are_distinguished_by_place() -> None:
    assert TASK.groups == ((0, 1), (3, 4))
    assert TASK.output_names == Plain.output_names
