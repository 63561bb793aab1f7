"""The sums of one pair of prediction and truth, and metrics of sums that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deployments.monitoring.measures import (
    COMMON,
    ClassMeasures,
    Measures,
    NumberMeasures,
    PathMeasures,
    make_measures,
)
from features.targets import ALTITUDE, LATITUDE, LONGITUDE, ClassTarget, PathTarget, TargetSpec
from tests.support.regions import Plain
from training.runtime.tasks.base import ArmAnswer
from training.runtime.tasks.classification import ClassificationTask
from training.runtime.tasks.path import PathTask
from training.runtime.tasks.regression import RegressionTask

AREA = TargetSpec(name="area_m2", unit="m2", minimum=0, maximum=1000)
LOGS = TargetSpec(name="kcal", unit="kcal", minimum=0, maximum=1000, metric="rmsle")
PHASE = ClassTarget(name="phase", classes=("a", "b", "c"), positive="b")
PATH = PathTarget(name="path", horizons_s=(60, 300))
# of an arc of one thousandth of a degree
METRES = 111.19


def named(measures: Measures, total: np.ndarray | None) -> dict[str, float]:
    assert total is not None
    return dict(zip(measures.names, total.tolist(), strict=True))


def total_of(measures: Measures, **sums: float) -> np.ndarray:
    """Sums by name; those that are not given are 0."""
    assert sums.keys() <= set(measures.names)
    return np.array([sums.get(name, 0.0) for name in measures.names])


def test_the_common_sums_come_first() -> None:
    assert COMMON == ("truths", "regions", "inside", "nominal", "size")
    made = (
        make_measures(AREA, RegressionTask(AREA, Plain())),
        make_measures(PHASE, ClassificationTask(PHASE)),
        make_measures(PATH, PathTask(PATH, Plain())),
    )
    assert [type(one) for one in made] == [NumberMeasures, ClassMeasures, PathMeasures]
    for one in made:
        assert one.names[:5] == COMMON
        assert one.metrics(np.zeros(len(one.names))) == {}


@pytest.mark.parametrize(("truth", "inside"), [(8.0, 1), (12.0, 1), (7.999, 0), (12.001, 0), (10.0, 1)])
def test_a_number(truth: float, inside: float) -> None:
    measures = NumberMeasures(AREA)
    answer = ArmAnswer({"area_m2": 10.0}, {"area_m2": [8.0, 12.0]}, 0.9)
    error = abs(truth - 10)
    assert named(measures, measures.sums(answer, np.array(truth))) == pytest.approx(
        {
            **{"truths": 1, "regions": 1, "inside": inside, "nominal": 0.9, "size": 4},
            **{"absolute_error": error, "squared_error": error**2},
        }
    )
    assert measures.sums(answer, np.array(np.nan)) is None


def test_a_number_whose_metric_is_of_logarithms() -> None:
    measures = NumberMeasures(LOGS)
    answer = ArmAnswer({"kcal": math.e - 1}, {"kcal": [0.0, 5.0]}, 0.9)
    found = named(measures, measures.sums(answer, np.array(math.e**3 - 1)))
    assert found["squared_log_error"] == pytest.approx(4.0)
    total = total_of(measures, truths=4, absolute_error=8, squared_error=36, squared_log_error=1)
    assert measures.metrics(total) == {"mae": 2.0, "rmse": 3.0, "rmsle": 0.5}
    assert "rmsle" not in NumberMeasures(AREA).metrics(np.ones(7))


def test_metrics_of_regions_are_over_regions() -> None:
    measures = NumberMeasures(AREA)
    total = total_of(measures, truths=8, regions=4, inside=3, nominal=3.6, size=10, absolute_error=8)
    assert measures.metrics(total) == pytest.approx(
        {"mae": 1.0, "rmse": 0.0, "coverage": 0.75, "nominal_coverage": 0.9, "mean_width": 2.5}
    )


@pytest.mark.parametrize(
    ("true", "predicted", "hit", "true_positive", "false_positive", "false_negative"),
    [
        ("b", "b", 1, 1, 0, 0),
        ("b", "a", 0, 0, 0, 1),
        ("a", "b", 0, 0, 1, 0),
        ("a", "a", 1, 0, 0, 0),
        ("a", "c", 0, 0, 0, 0),
    ],
)
def test_a_class(
    true: str, predicted: str, hit: int, true_positive: int, false_positive: int, false_negative: int
) -> None:
    measures = ClassMeasures(PHASE)
    prediction = {"phase": predicted, "probabilities": {"a": 0.5, "b": 0.25, "c": 0.25}}
    answer = ArmAnswer(prediction, {"phase": ["a", "c"]}, 0.9)
    found = named(measures, measures.sums(answer, np.array(float(PHASE.classes.index(true)))))
    assert found == pytest.approx(
        {
            **{"truths": 1, "regions": 1, "inside": int(true == "a"), "nominal": 0.9, "size": 2, "hits": hit},
            "log_loss": math.log(2 if true == "a" else 4),
            "true_positives": true_positive,
            "false_positives": false_positive,
            "false_negatives": false_negative,
        }
    )


@pytest.mark.parametrize(
    ("probability", "loss"), [(0.0, 52 * math.log(2)), (1.0, 0.0), (1.5, 0.0), (1e-12, 12 * math.log(10))]
)
def test_a_class_that_was_impossible_has_a_finite_loss(probability: float, loss: float) -> None:
    measures = ClassMeasures(PHASE)
    answer = ArmAnswer({"phase": "a", "probabilities": {"a": probability}}, {"phase": ["a"]}, 0.9)
    assert named(measures, measures.sums(answer, np.array(0.0)))["log_loss"] == pytest.approx(loss)


def test_metrics_of_classes_are_there_where_they_are_defined() -> None:
    measures = ClassMeasures(PHASE)
    known = {"truths": 10, "hits": 8, "log_loss": 5}
    assert measures.metrics(
        total_of(measures, **known, true_positives=3, false_positives=1, false_negatives=2)
    ) == pytest.approx(
        {"accuracy": 0.8, "log_loss": 0.5, "precision": 0.75, "recall": 0.6, "f1": 2 * 3 / (6 + 1 + 2)}
    )
    plain = {"accuracy": 0.8, "log_loss": 0.5}
    assert measures.metrics(total_of(measures, **known)) == plain
    assert measures.metrics(total_of(measures, **known, false_positives=2)) == plain | {"precision": 0.0}
    missed = plain | {"recall": 0.0, "f1": 0.0}
    assert measures.metrics(total_of(measures, **known, false_negatives=2)) == missed
    regions = total_of(measures, truths=1, regions=2, inside=1, nominal=1.8, size=3)
    assert measures.metrics(regions).keys() == {
        *plain,
        *("coverage", "nominal_coverage", "mean_set_size"),
    }


def path_answer(*radii_m: float) -> ArmAnswer:
    """On the equator, at 100 m."""
    points = [
        {
            "time_s": time_s,
            LATITUDE: 0.0,
            LONGITUDE: 10.0,
            ALTITUDE: 100.0,
            "radius_m": radius,
        }
        for time_s, radius in zip(PATH.horizons_s, radii_m, strict=True)
    ]
    return ArmAnswer({"path": points}, {}, 0.8)


NAN = float("nan")


def test_a_path() -> None:
    measures = PathMeasures(PATH, PathTask(PATH, Plain()))
    truth = np.array([[0.001, 10.0, 90.0], [0.0, 10.002, 130.0]])
    found = named(measures, measures.sums(path_answer(112.0, 222.0), truth))
    assert found == pytest.approx(
        {
            **{"truths": 1, "regions": 2, "inside": 1, "nominal": 1.6, "size": 334},
            **{"altitudes": 2, "altitude_error_m": 40, "known_60_s": 1, "known_300_s": 1},
            **{"error_60_s_m": METRES, "error_300_s_m": 2 * METRES},
        },
        rel=1e-3,
    )


def test_a_path_of_which_a_part_is_known() -> None:
    measures = PathMeasures(PATH, PathTask(PATH, Plain()))
    place_alone = np.array([[0.0, 10.0, NAN], [NAN, NAN, NAN]])
    assert named(measures, measures.sums(path_answer(0.0, 222.0), place_alone)) == pytest.approx(
        {
            **{"truths": 1, "regions": 1, "inside": 1, "nominal": 0.8, "size": 0},
            **{"altitudes": 0, "altitude_error_m": 0, "known_60_s": 1, "known_300_s": 0},
            **{"error_60_s_m": 0, "error_300_s_m": 0},
        }
    )
    altitude_alone = np.array([[NAN, NAN, 90.0], [NAN, NAN, NAN]])
    assert measures.sums(path_answer(1.0, 1.0), altitude_alone) is None


def test_metrics_of_paths_are_over_what_is_known() -> None:
    measures = PathMeasures(PATH, PathTask(PATH, Plain()))
    common = {"truths": 4, "regions": 6, "inside": 3, "nominal": 4.8, "size": 30}
    first = {"known_60_s": 4, "error_60_s_m": 12}
    regions = {"coverage": 0.5, "nominal_coverage": 0.8, "mean_radius_m": 5.0}
    found = measures.metrics(
        total_of(
            measures, **common, **first, known_300_s=2, error_300_s_m=18, altitudes=5, altitude_error_m=40
        )
    )
    assert found == pytest.approx(
        {
            "mean_error_m": 5.0,
            "mean_error_60_s_m": 3.0,
            "mean_error_300_s_m": 9.0,
            "mean_altitude_error_m": 8.0,
            **regions,
        }
    )
    assert measures.metrics(total_of(measures, **common, **first)) == pytest.approx(
        {"mean_error_m": 3.0, "mean_error_60_s_m": 3.0, **regions}
    )
