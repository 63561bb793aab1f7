"""What reentry's models see: speeds that do not depend on the spacing, the date line or coarse altitudes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.windows import cut_window
from features.workloads.reentry import WORKLOAD
from tests.support.reentry import reentry_contract

CONTRACT = reentry_contract()
NAMES = WORKLOAD.feature_names


def track(
    spacing_s: float = 1.0, climb_mps: float = -800.0, level_mps: float = 1200.0, end_m: float = 95_000.0
) -> np.ndarray:
    """Ten points that move north across the date line's meridian and fall; no radiometer."""
    back_s = spacing_s * np.arange(-9.0, 1.0)
    radius_m = 6_371_000.0 + end_m
    rows = np.full((10, 5), np.nan)
    rows[:, 0] = 1.6e9 + back_s
    rows[:, 1] = 45 + np.degrees(level_mps * back_s / radius_m)
    rows[:, 2] = 180.0
    rows[:, 3] = end_m + climb_mps * back_s
    return rows


def last(rows: np.ndarray) -> dict[str, float]:
    features = WORKLOAD.features(cut_window(CONTRACT, rows).values[None])
    assert features.shape == (1, 10, len(NAMES))
    return dict(zip(NAMES, features[0, -1], strict=True))


@pytest.mark.parametrize("spacing_s", [1.0, 3.0, 10.0])
def test_speeds_are_those_of_the_track_at_any_spacing(spacing_s: float) -> None:
    seen = last(track(spacing_s))
    assert 10 * np.sinh(seen["window_climb"]) == pytest.approx(-800, rel=0.01)
    assert 10 * np.sinh(seen["climb"]) == pytest.approx(-800, rel=0.01)
    assert 10 * np.sinh(seen["window_median_climb"]) == pytest.approx(-800, rel=0.01)
    assert np.exp(seen["log_level_speed"]) - 10 == pytest.approx(1200, rel=0.01)
    assert np.exp(seen["log_speed"]) - 10 == pytest.approx(np.hypot(800, 1200), rel=0.01)
    assert abs(np.sinh(seen["acceleration_along"])) < 1
    assert np.exp(seen["log_step"]) == pytest.approx(spacing_s)
    assert seen["near_edge"] == -5
    assert seen["log_intensity"] == 0


@pytest.mark.parametrize(("rate_hz", "seen"), [(0.0, 1e-3), (2.0, 2.0), (1e4, 1e3)])
def test_the_rate_is_that_at_the_end_within_limits(rate_hz: float, seen: float) -> None:
    raw = cut_window(CONTRACT, track()).values[None].copy()
    raw[:, -1, -1] = rate_hz
    found = WORKLOAD.features(raw)[0, :, NAMES.index("window_log_rate")]
    np.testing.assert_allclose(np.exp(found), seen)


def test_the_date_line_is_nothing_special() -> None:
    east, across = track(level_mps=0), track(level_mps=0)
    east[:, 1] = across[:, 1] = 10
    east[:, 2] = 20 + 0.01 * np.arange(10)
    across[:, 2] = (179.955 + 0.01 * np.arange(10) + 180) % 360 - 180
    for name, value in last(east).items():
        assert last(across)[name] == pytest.approx(value, abs=1e-6), name


def test_kilometre_steps_of_altitude_make_no_speeds() -> None:
    coarse = track(climb_mps=-300.0)
    coarse[:, 3] = np.round(coarse[:, 3], -3)
    assert 10 * np.sinh(last(coarse)["window_climb"]) == pytest.approx(-300, abs=60)


def test_the_threshold_wants_a_fall_and_at_most_100_km() -> None:
    cases = [(95e3, -800.0), (101e3, -800.0), (95e3, 800.0), (100e3, -800.0), (11e3, -8.0)]
    raw = np.stack([cut_window(CONTRACT, track(end_m=m, climb_mps=v)).values for m, v in cases])
    probability = WORKLOAD.baselines(WORKLOAD.features(raw))["altitude_threshold"]
    assert probability[:, 1].tolist() == [1, 0, 0, 1, 1]
    assert probability.sum(axis=1).tolist() == [1] * 5


numbers = {
    spec.name: st.floats(spec.minimum, spec.maximum, allow_subnormal=False) for spec in CONTRACT.fields[1:]
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.fixed_dictionaries(numbers), min_size=10, max_size=10),
    # sums of times round: a step just at the gap that is allowed may come out above it
    st.lists(st.floats(1e-3, 59.9), min_size=10, max_size=10),
)
def test_features_of_whatever_the_contract_allows_are_finite(
    points: list[dict[str, float]], steps_s: list[float]
) -> None:
    rows = np.array(
        [[t, *(p[name] for name in numbers)] for t, p in zip(np.cumsum(steps_s), points, strict=True)]
    )
    features = WORKLOAD.features(cut_window(CONTRACT, rows).values[None])
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 1e3
