"""Bins that are fixed, and the number that stands for a prediction in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.monitoring.values import LAG_EDGES_S, NumberBins, predicted_number
from features.targets import ALTITUDE, LATITUDE, ClassTarget, PathTarget, TargetSpec

BINS = NumberBins()


def test_there_are_ten_bins_a_decade_from_a_hundredth_to_ten_millions() -> None:
    assert BINS.width == 181
    assert BINS.edges(91) == pytest.approx((0.01, 0.01 * 10**0.1))
    assert BINS.edges(180) == pytest.approx((10**6.9, 1e7))
    assert BINS.edges(89) == pytest.approx((-0.01 * 10**0.1, -0.01))
    assert BINS.edges(0) == pytest.approx((-1e7, -(10**6.9)))
    assert BINS.edges(90) == (-0.01, 0.01)
    for index in range(BINS.width - 1):
        assert BINS.edges(index)[1] == pytest.approx(BINS.edges(index + 1)[0], rel=1e-12)


@pytest.mark.parametrize("index", range(91, 181))
def test_a_bin_begins_at_its_edge(index: int) -> None:
    """To the precision of the logarithm; below zero it is the same, mirrored."""
    lower, upper = BINS.edges(index)
    assert [BINS.index(value) for value in (lower, lower * 1.01, upper * 0.99)] == [index] * 3
    assert [BINS.index(-value) for value in (lower, lower * 1.01, upper * 0.99)] == [180 - index] * 3
    if index > 91:
        assert BINS.index(lower * (1 - 1e-6)) == index - 1


@pytest.mark.parametrize(
    ("value", "index"),
    [(0.0099999, 90), (-0.0099999, 90), (0.0, 90), (9.99e6, 180), (1e7, 180), (1e30, 180), (-1e30, 0)],
)
def test_the_middle_and_the_ends(value: float, index: int) -> None:
    assert BINS.index(value) == index


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_a_larger_number_is_in_no_lower_bin(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= BINS.index(low) <= BINS.index(high) < BINS.width


def test_the_table_has_the_bins_that_hold_something_with_four_figures() -> None:
    counts = np.zeros(BINS.width)
    counts[[0, 90, 92, 180]] = [1.0, 2.0, 3.0, 4.0]
    assert BINS.table(counts) == [
        {"from": -1e7, "to": -7_943_000.0, "count": 1.0},
        {"from": -0.01, "to": 0.01, "count": 2.0},
        {"from": 0.01259, "to": 0.01585, "count": 3.0},
        {"from": 7_943_000.0, "to": 1e7, "count": 4.0},
    ]
    assert BINS.table(np.zeros(BINS.width)) == []


def test_the_bins_of_lags() -> None:
    assert LAG_EDGES_S == (1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600)


def test_what_stands_for_a_prediction() -> None:
    number = TargetSpec(name="apogee_m", unit="m", minimum=0, maximum=1e5)
    assert predicted_number(number, {"apogee_m": 12}) == 12.0
    phase = ClassTarget(name="phase", classes=("a", "b"), positive="b")
    assert predicted_number(phase, {"phase": "a", "probabilities": {"a": 0.75, "b": 0.25}}) == 0.25
    path = PathTarget(name="path", horizons_s=(60, 300))
    points = [{LATITUDE: 1.0, ALTITUDE: 5.0}, {LATITUDE: 2.0, ALTITUDE: 7.0}]
    assert predicted_number(path, {"path": points}) == 7.0
