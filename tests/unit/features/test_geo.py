"""Local frames: there and back anywhere on the globe, and known distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.geo import axes, from_local, local_m, rotated, unrotated, wrapped_deg
from features.sphere import EARTH_RADIUS_M, great_circle_m

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)
metres = st.floats(-1e6, 1e6)


@settings(max_examples=200, deadline=None)
@given(latitudes, longitudes, metres, metres)
def test_a_place_comes_back_as_the_same_metres(lat: float, lon: float, east: float, north: float) -> None:
    origin, local = np.array([lat, lon]), np.array([east, north])
    place = from_local(origin, local)
    assert -90 <= place[0] <= 90
    assert -180 <= place[1] < 180
    # at a pole itself every longitude is the same place, and the frame is that of the longitude given
    np.testing.assert_allclose(local_m(origin, place), local, atol=1e-2 if abs(lat) > 89.9999 else 1e-5)


@settings(max_examples=200, deadline=None)
@given(latitudes, longitudes, metres, metres)
def test_the_length_is_the_great_circle(lat: float, lon: float, east: float, north: float) -> None:
    origin, local = np.array([lat, lon]), np.array([east, north])
    length = float(np.hypot(*local))
    assert great_circle_m(origin, from_local(origin, local)) == pytest.approx(length, rel=1e-6, abs=1e-3)


def test_known_places() -> None:
    degree_m = EARTH_RADIUS_M * np.pi / 180
    equator, west_of_it = np.array([0.0, 179.5]), np.array([0.0, -179.5])
    np.testing.assert_allclose(local_m(equator, west_of_it), [degree_m, 0], atol=1e-6)
    np.testing.assert_allclose(from_local(equator, np.array([degree_m, 0.0])), west_of_it, atol=1e-12)
    over_the_pole = from_local(np.array([89.0, 10.0]), np.array([0.0, 2 * degree_m]))
    np.testing.assert_allclose(over_the_pole, [89.0, -170.0], atol=1e-9)
    np.testing.assert_array_equal(local_m(equator, equator), [0, 0])
    # due east on a great circle leaves the parallel towards the equator
    assert from_local(np.array([60.0, 0.0]), np.array([1e6, 0.0]))[0] < 59.0


def test_a_metre_keeps_its_digits() -> None:
    origin = np.array([47.123456, 8.654321])
    np.testing.assert_allclose(local_m(origin, from_local(origin, np.array([1.0, -1.0]))), [1, -1], atol=1e-8)


def test_longitudes_are_wrapped_only_where_they_must_be() -> None:
    given_deg = np.array([-180.0, 179.9, 180.0, 190.5, -540.0, 0.1])
    np.testing.assert_array_equal(wrapped_deg(given_deg), [-180.0, 179.9, -180.0, -169.5, -180.0, 0.1])


def test_ahead_and_left() -> None:
    north_east = np.array([1.0, 1.0]) / np.sqrt(2)
    np.testing.assert_allclose(rotated(np.array([0.0, 2.0]), north_east), [np.sqrt(2), np.sqrt(2)])
    np.testing.assert_allclose(unrotated(rotated(np.array([3.0, -7.0]), north_east), north_east), [3, -7])


def test_axes_are_at_right_angles() -> None:
    frame = np.stack(axes(np.array([[0.0, 0.0], [90.0, 33.0], [-47.0, 179.0]])), axis=1)
    np.testing.assert_allclose(frame @ frame.transpose(0, 2, 1), np.eye(3)[None].repeat(3, 0), atol=1e-12)
    np.testing.assert_allclose(frame[0], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], atol=1e-12)
