"""Angles in windows: between 350 and 10 degrees lies 0, and the date line is no jump."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from features.contract import FieldSpec
from features.windows import cut_window
from tests.support.tracks import START_S, trajectory_contract

CONTRACT = trajectory_contract()
LONGITUDE, TRACK = (CONTRACT.field_names.index(name) for name in ("longitude", "track_deg"))


def _samples(longitudes: list[float], tracks: list[float], step_s: float = 10.0) -> np.ndarray:
    samples = np.zeros((len(longitudes), len(CONTRACT.fields)))
    samples[:, 0] = START_S + step_s * np.arange(len(longitudes))
    samples[:, LONGITUDE], samples[:, TRACK] = longitudes, tracks
    return samples


def test_between_two_angles_lies_the_shorter_way() -> None:
    values = cut_window(
        CONTRACT, _samples([179.0, -179.0, -177.0, 179.0], [350.0, 10.0, 350.0, 330.0], 20.0)
    ).values
    np.testing.assert_allclose(values[:, LONGITUDE], [179, 180, -179, -178, -177, -179, 179])
    np.testing.assert_allclose(values[:, TRACK] % 360, [350, 0, 10, 0, 350, 340, 330], atol=1e-9)


def test_an_angle_without_a_turn_keeps_its_digits() -> None:
    tracks = [12.3, 123.4, 271.1, 300.0, 359.9, 359.9, 200.7]
    np.testing.assert_array_equal(cut_window(CONTRACT, _samples([7.1] * 7, tracks)).values[:, TRACK], tracks)


def test_a_window_of_angles_stays_in_the_range() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        values = cut_window(
            CONTRACT, _samples(random.uniform(-180, 180, 9).tolist(), random.uniform(0, 360, 9).tolist(), 9.0)
        ).values
        assert (np.abs(values[:, LONGITUDE]) <= 180).all()
        assert ((values[:, TRACK] >= 0) & (values[:, TRACK] <= 360)).all()


def test_a_period_is_that_of_the_range() -> None:
    with pytest.raises(ValidationError, match=r"track\.period: got 180, expected max - min, 360"):
        FieldSpec(name="track", unit="deg", minimum=0, maximum=360, period=180)
