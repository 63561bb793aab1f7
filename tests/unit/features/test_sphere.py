"""Distances and middles on the sphere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.sphere import EARTH_RADIUS_M, great_circle_m, mean_position

places = st.tuples(st.floats(-90, 90), st.floats(-180, 180)).map(np.array)


def test_known_distances() -> None:
    quarter = great_circle_m(np.array([0.0, 0.0]), np.array([0.0, 90.0]))
    assert quarter == pytest.approx(EARTH_RADIUS_M * np.pi / 2)
    over_the_border = great_circle_m(np.array([0.0, 179.95]), np.array([0.0, -179.95]))
    assert over_the_border == pytest.approx(np.radians(0.1) * EARTH_RADIUS_M)
    assert great_circle_m(np.array([46.0, 8.0]), np.array([47.0, 8.0])) == pytest.approx(111_195, abs=1)


@given(places, places)
def test_a_distance_has_no_direction(one: np.ndarray, other: np.ndarray) -> None:
    distance = great_circle_m(one, other)
    assert distance == pytest.approx(great_circle_m(other, one), abs=1e-6)
    assert 0 <= distance <= EARTH_RADIUS_M * np.pi * (1 + 1e-12)


def test_the_middle_lies_between_and_over_the_antimeridian_too() -> None:
    middle = mean_position(
        [np.array([[10.0, 179.0, 1000.0]]), np.array([[10.0, -179.0, 3000.0]])], np.array([0.25, 0.75])
    )
    assert middle[0, 1] == pytest.approx(-179.5, abs=1e-3)
    assert middle[0, 2] == pytest.approx(2500)
    assert middle[0, 0] == pytest.approx(10, abs=0.01)
