"""The published formula, worked out by hand, and the ends of what is learnt."""

from __future__ import annotations

import math

import numpy as np
import pytest

from features.workloads.calories import WORKLOAD

FEMALE, MALE = 0.0, 1.0
NAMES = WORKLOAD.feature_names


def features(
    male: float, heart_rate: float, age: float = 40.0, duration_min: float = 20.0
) -> dict[str, float]:
    """Of a person of 60 kg."""
    row = np.array([[male, age, 170.0, 60.0, duration_min, heart_rate, 40.0]])
    return dict(zip(NAMES, WORKLOAD.features(row)[0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("male", "terms"),
    [(FEMALE, (-20.4022, 67.08, -7.578, 2.96)), (MALE, (-55.0969, 94.635, 11.928, 8.068))],
)
def test_the_formula_of_keytel(male: float, terms: tuple[float, ...]) -> None:
    """At 150 beats a minute, in kJ a minute: constant, heart rate, weight and age."""
    found = features(male, 150.0)
    rate = sum(terms) / 4.184
    assert math.exp(found["log_rate"]) == pytest.approx(rate)
    assert math.expm1(found["log_estimate"]) == pytest.approx(20 * rate)
    shares = [found[name] for name in ("heart_share", "weight_share", "age_share")]
    assert shares == pytest.approx([term / sum(terms) for term in terms[1:]])
    assert found["log_duration"] == pytest.approx(math.log(20))


def test_below_what_a_person_burns_at_rest_the_formula_means_nothing() -> None:
    assert math.exp(features(FEMALE, 50.0)["log_rate"]) == pytest.approx(0.5)
    assert features(FEMALE, 50.0)["heart_share"] == pytest.approx(50 * 0.4472 / 4.184 / 0.5)


def test_what_was_measured_comes_first() -> None:
    found = list(features(MALE, 150.0).values())
    assert found[:7] == [1.0, 40.0, 170.0, 60.0, 20.0, 150.0, 40.0]


def test_a_model_learns_the_logarithm_over_the_formula_within_three() -> None:
    anchors = np.log1p(np.full((4, 1), 99.0))
    target = np.array([99.0, 100 * math.e - 1, 1e9, 0.0])
    encoded = WORKLOAD.encode_target(target, anchors)
    assert encoded.tolist() == pytest.approx([0.0, 1.0, 3.0, -3.0])
    decoded = WORKLOAD.decode_target(np.array([0.0, 1.0, 9.0, -9.0]), anchors)
    assert decoded.tolist() == pytest.approx(
        [99.0, 100 * math.e - 1, 100 * math.e**3 - 1, 100 * math.e**-3 - 1]
    )
    assert WORKLOAD.interval_scale(anchors).tolist() == anchors[:, 0].tolist()
    baseline = WORKLOAD.baselines(WORKLOAD.features(np.array([[0, 40, 170, 60, 20, 150, 40.0]])))
    assert baseline["keytel_2005"].tolist() == pytest.approx([20 * 42.0598 / 4.184])
