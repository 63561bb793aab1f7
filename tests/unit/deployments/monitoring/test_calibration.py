"""How many truths the calibration detector needs, and where its limit lies."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.monitoring.calibration import calibration_score, evaluate
from deployments.monitoring.hysteresis import Finding
from deployments.monitoring.settings import CalibrationSettings

SETTINGS = CalibrationSettings(tolerance=0.05, z=4.0, min_truths=100)


def sums(truths: float, regions: float, inside: float, nominal: float = 0.8) -> NDArray[np.float64]:
    """What `Measures` adds up, with two sums of a task of its own."""
    return np.array([truths, regions, inside, nominal * regions, 77.0, 1.0, 2.0])


def test_the_limit_is_the_tolerance_and_four_standard_errors() -> None:
    """Of 100 truths at 0.8 the standard error is 0.04."""
    for inside in (0.59, 1.01):
        assert calibration_score(SETTINGS, inside, 0.8, 100) == pytest.approx(1.0)
    assert calibration_score(SETTINGS, 0.8, 0.8, 100) == 0
    assert calibration_score(SETTINGS, 0.7, 0.8, 1600) == pytest.approx(0.1 / 0.09)


def test_truths_count_and_not_the_regions_of_one_path() -> None:
    found = evaluate(SETTINGS, sums(100, 400, 4 * 59), 300.0)
    assert found.score == pytest.approx(1.0)
    assert found.reason == "regions hold 59.0% of 100 truths, nominal are 80.0%"
    assert found.evidence == {"window_s": 300.0, "truths": 100, "coverage": 0.59, "nominal": 0.8}
    assert evaluate(SETTINGS, sums(900, 3, 1, 0.9), 60.0).evidence == {
        "window_s": 60.0,
        "truths": 900,
        "coverage": 0.3333,
        "nominal": 0.9,
    }


@pytest.mark.parametrize("measured", [sums(99, 99, 50), sums(500, 0, 0)])
def test_few_truths_or_none_with_a_region_are_insufficient_data(measured: NDArray[np.float64]) -> None:
    truths = int(measured[0])
    assert evaluate(SETTINGS, measured, 300.0) == Finding(None, f"{truths} truths", {"truths": truths})
