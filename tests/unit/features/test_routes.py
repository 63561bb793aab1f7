"""Waves of place and heading: the same anywhere, for ever, and alike where places and headings are."""

from __future__ import annotations

import numpy as np
import pytest

from features.geo import from_local
from features.routes import WAVES, route_waves

PINNED = [0.984367012689, 0.441861424756, -0.115554696334, 0.37226680523, -0.736867311104]
NORTH, EAST = np.array([0.0, 1.0]), np.array([1.0, 0.0])


def waves(place: np.ndarray, course: np.ndarray = NORTH) -> np.ndarray:
    waves: np.ndarray = route_waves(np.atleast_2d(place), np.atleast_2d(course))[0]
    return waves


def test_there_are_48_of_each_length() -> None:
    assert WAVES == 96
    assert waves(np.array([47.0, 8.0])).shape == (96,)


def test_the_numbers_never_change() -> None:
    """Models that are out there were trained on them."""
    found = waves(np.array([47.0, 8.0]), np.array([0.6, 0.8]))
    assert found[[0, 1, 47, 48, 95]] == pytest.approx(PINNED, abs=1e-9)


@pytest.mark.parametrize("place", [(47.0, 8.0), (-89.99, 10.0), (0.0, 180.0)])
def test_phases_turn_by_a_radian_for_a_normal_number_of_their_length(place: tuple[float, float]) -> None:
    """So a step of 1 km changes long waves by 1/120 and short ones by 1/50 in the root mean square."""
    here = np.array(place)
    there = from_local(here, np.array([700.0, 714.0]))
    heading = np.zeros(2)
    change = waves(there, heading) - waves(here, heading)
    # of a cosine, half the square on the average
    long, short = (np.sqrt(2 * np.mean(part**2)) for part in (change[:48], change[48:]))
    assert long == pytest.approx(1 / 120, rel=0.3)
    assert short == pytest.approx(1 / 50, rel=0.3)


def test_headings_are_told_apart_and_a_row_does_not_see_its_batch() -> None:
    place = np.array([47.0, 8.0])
    assert np.abs(waves(place, NORTH) - waves(place, EAST)).mean() > 0.5
    batch = route_waves(np.tile(place, (3, 1)), np.stack([NORTH, EAST, NORTH]))
    np.testing.assert_array_equal(batch[1], waves(place, EAST))
