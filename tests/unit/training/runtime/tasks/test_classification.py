"""Classes: probabilities at a temperature, and sets whose limits lie where they are said to lie."""

from __future__ import annotations

import numpy as np
import pytest

from features.targets import ClassTarget
from training.runtime.tasks.base import Predicted
from training.runtime.tasks.classification import ClassCalibration, ClassificationTask

TASK = ClassificationTask(ClassTarget(name="phase", classes=("a", "b", "c"), positive="b"))
NO_ANCHORS = np.empty((1, 0))


def calibrated(temperature: float = 1.0, score: float = 0.7) -> ClassCalibration:
    """Sets of what is at least as probable as 1 - `score`."""
    return ClassCalibration(coverage=0.9, temperature=temperature, levels=(0.5, 0.9), scores=(0.2, score))


def one_row(*probability: float) -> np.ndarray:
    return np.array([probability])


def test_a_class_is_learnt_as_the_share_that_it_has() -> None:
    encoded = TASK.encode(np.array([0.0, 2.0, np.nan]), NO_ANCHORS)
    np.testing.assert_array_equal(encoded, [[1, 0, 0], [0, 0, 1], [np.nan] * 3])
    scaler = TASK.fit_target_scaler(encoded)
    assert (scaler.names, scaler.mean, scaler.scale) == (("a", "b", "c"), (0.0,) * 3, (1.0,) * 3)
    assert scaler.count == 3


def test_a_temperature_divides_logarithms() -> None:
    found = TASK.predict(one_row(0.64, 0.36, 0.0), NO_ANCHORS, calibrated(2.0))["probability"][0]
    roots = np.array([0.8, 0.6, 1e-3])
    np.testing.assert_allclose(found, roots / roots.sum(), rtol=1e-12)
    np.testing.assert_allclose(
        TASK.predict(one_row(0.5, 0.3, 0.2), NO_ANCHORS, calibrated())["probability"], [[0.5, 0.3, 0.2]]
    )


def test_no_class_is_impossible() -> None:
    found = TASK.predict(one_row(1.0, 0.0, 0.0), NO_ANCHORS, calibrated(0.2))["probability"][0]
    np.testing.assert_allclose(found, np.array([1.0, 1e-6, 1e-6]) / (1 + 2e-6), rtol=1e-9)
    assert found.sum() == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize(
    ("coverage", "members"), [(None, [1, 1, 0]), (0.9, [1, 1, 0]), (0.5, [1, 0, 0]), (0.7, [1, 0, 0])]
)
def test_a_set_holds_what_is_as_probable_as_its_threshold(
    coverage: float | None, members: list[float]
) -> None:
    calibration = calibrated(score=0.7)
    assert calibration.threshold(coverage) == pytest.approx(
        {None: 0.3, 0.9: 0.3, 0.5: 0.8, 0.7: 0.55}[coverage]
    )
    found = TASK.predict(one_row(0.5, 0.3 + 1e-9, 0.2 - 1e-9), NO_ANCHORS, calibration, coverage)
    assert found["member"].tolist() == [members]


def test_the_temperature_is_the_one_with_the_least_log_loss() -> None:
    """Models that are twice as sure as they should be; and that are half as sure."""
    generator = np.random.default_rng(0)
    right = generator.dirichlet([2.0, 2.0, 2.0], 20_000)
    truth = (right.cumsum(axis=1) < generator.random((20_000, 1))).sum(axis=1).astype(float)
    for sureness in (2.0, 1.0, 0.5):
        outputs = right**sureness
        outputs /= outputs.sum(axis=1, keepdims=True)
        found = TASK.calibrate(outputs, truth, NO_ANCHORS, 0.9)
        assert found.temperature == pytest.approx(sureness, rel=0.06)
        assert 0.9 in found.levels
        inside = TASK.predict(outputs, NO_ANCHORS, found)["member"]
        assert inside[np.arange(20_000), truth.astype(int)].mean() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    ("truth", "temperature"), [([0.0] * 4, 0.2), ([2.0] * 4, 5.0), ([0.0, 0.0, 0.0, 1.0], 1.0)]
)
def test_temperatures_lie_between_a_fifth_and_five_and_one_is_among_them(
    truth: list[float], temperature: float
) -> None:
    """Models that are always right, that never are, and that are right about how often."""
    told = np.array([[0.75, 0.25 - 1e-9, 1e-9]] * 4)
    found = TASK.calibrate(told, np.array(truth), NO_ANCHORS, 0.9)
    assert found.temperature == pytest.approx(temperature, rel=1e-12)


def test_a_model_that_is_not_calibrated_has_the_best_class_alone_in_its_sets() -> None:
    plain = TASK.uncalibrated(0.8)
    assert (plain.coverage, plain.temperature) == (0.8, 1.0)
    found = TASK.predict(one_row(0.2, 0.5, 0.3), NO_ANCHORS, plain)
    np.testing.assert_allclose(found["probability"], [[0.2, 0.5, 0.3]])
    assert found["member"].tolist() == [[0, 1, 0]]


def test_an_answer_and_back() -> None:
    predicted = Predicted({"probability": one_row(0.2, 0.5, 0.3), "member": one_row(0, 1, 1)})
    (row,) = TASK.answers(predicted, 0.9)
    assert row.prediction == {
        "phase": "b",
        "probability": 0.5,
        "probabilities": {"a": 0.2, "b": 0.5, "c": 0.3},
    }
    assert (row.region, row.coverage) == ({"phase": ["b", "c"]}, 0.9)
    back = TASK.to_arrays(row)
    assert {name: array.tolist() for name, array in back.items()} == {
        "probability": [0.2, 0.5, 0.3],
        "member": [0, 1, 1],
    }
    assert [TASK.error(row, np.array(truth)) for truth in (0.0, 1.0)] == [0.8, 0.5]
    assert np.isnan(TASK.error(row, np.array(np.nan)))


def test_a_blend_is_the_mean_and_its_set_what_half_of_the_weight_holds() -> None:
    one = Predicted({"probability": one_row(0.8, 0.1, 0.1), "member": one_row(1, 1, 0)})
    other = Predicted({"probability": one_row(0.2, 0.1, 0.7), "member": one_row(0, 0, 1)})
    half = TASK.blend([one, other], np.array([0.5, 0.5]))
    np.testing.assert_allclose(half["probability"], [[0.5, 0.1, 0.4]])
    assert half["member"].tolist() == [[1, 1, 1]]
    less = TASK.blend([one, other], np.array([0.49, 0.51]))
    assert less["member"].tolist() == [[1, 0, 1]], "the most probable is always in"


def test_how_far_outputs_may_be_off() -> None:
    predicted = Predicted({"probability": one_row(0.2, 0.5, 0.3), "member": one_row(0, 1, 1)})
    tolerances = TASK.tolerances(predicted)
    assert tolerances["probability"].tolist() == [[1, 1, 1]]
    assert np.isinf(tolerances["member"]).all()
