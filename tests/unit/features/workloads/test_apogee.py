"""Features of apogee: right on flights that can be solved by hand, and defined on any other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.config import load_contract
from features.windows import cut_windows
from features.workload import anchors_of
from features.workloads.apogee import GRAVITY_MPS2, WORKLOAD, drag_coast_climb_m
from training.runtime.settings import REPOSITORY

CONTRACT = load_contract(REPOSITORY / "configs" / "workloads", "apogee")
COLUMN = {name: i for i, name in enumerate(WORKLOAD.feature_names)}


def window(altitude_m: np.ndarray, end_s: float = 8.0, rate_hz: float = 20.0) -> np.ndarray:
    """(1, 50, 8) with everything but time and altitude filled as the contract says."""
    raw = np.zeros((1, *CONTRACT.raw_shape))
    raw[0, :, 0] = end_s - np.arange(49, -1, -1) / 20
    raw[0, :, 1] = altitude_m
    raw[0, :, -1] = rate_hz
    return raw


def coast(speed_mps: float, drag_per_m: float) -> tuple[np.ndarray, float]:
    """Altitudes of the last 2.45 s of a coast that ends at a speed, and the climb left, in closed form."""
    time_s = np.arange(-49, 1) / 20
    root = np.sqrt(drag_per_m * GRAVITY_MPS2)
    phase = np.arctan(speed_mps * np.sqrt(drag_per_m / GRAVITY_MPS2)) - root * time_s
    left = -np.log(np.cos(phase)) / drag_per_m
    return 1000 + left[-1] - left, float(left[-1])


def test_a_throw_in_vacuum_is_exact() -> None:
    time_s = np.arange(-49, 1) / 20
    features = WORKLOAD.features(window(600 + 80 * time_s - GRAVITY_MPS2 / 2 * time_s**2))
    apogee = 600 + 80**2 / (2 * GRAVITY_MPS2)
    for name, prediction in WORKLOAD.baselines(features).items():
        assert prediction[0] == pytest.approx(apogee, abs=1e-6), name


@pytest.mark.parametrize(("speed", "drag"), [(60.0, 5e-4), (120.0, 3e-4), (200.0, 1e-4)])
def test_a_coast_under_drag_is_close(speed: float, drag: float) -> None:
    altitude, left = coast(speed, drag)
    features = WORKLOAD.features(window(altitude))
    assert features[0, COLUMN["altitude_m"]] == pytest.approx(1000, abs=1.0)
    # the estimate lets the air thin, the closed form does not
    assert features[0, COLUMN["climb_m"]] == pytest.approx(left, rel=0.05)
    assert features[0, COLUMN["climb_m"]] < features[0, COLUMN["ballistic_climb_m"]]


@pytest.mark.parametrize(("rate_hz", "seen"), [(0.1, 0.3), (0.3, 0.3), (20.0, 20.0), (501.0, 500.0)])
def test_the_rate_is_that_at_the_end_within_limits(rate_hz: float, seen: float) -> None:
    raw = window(np.linspace(500, 600, 50), rate_hz=7.0)
    raw[0, -1, -1] = rate_hz
    assert np.exp(WORKLOAD.features(raw)[0, COLUMN["log_rate"]]) == pytest.approx(seen)


def test_drag_coast_without_drag_is_ballistic() -> None:
    speed = np.array([10.0, 100.0, 300.0])
    np.testing.assert_allclose(drag_coast_climb_m(speed, np.zeros(3)), speed**2 / (2 * GRAVITY_MPS2))


def test_recorded_velocity_and_acceleration_change_nothing() -> None:
    raw = window(coast(120.0, 3e-4)[0])
    other = raw.copy()
    other[..., 2:-1] = 77.0
    np.testing.assert_array_equal(WORKLOAD.features(raw), WORKLOAD.features(other))


@st.composite
def raw_batches(draw: st.DrawFn) -> np.ndarray:
    """Pads, boosts, coasts, descents, steps and noise anywhere in the contract's range."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(1, 5))
    time_s = np.arange(-49, 1) / 20
    batch = []
    for _ in range(rows):
        altitude = generator.uniform(-500, 5000) + generator.uniform(-1500, 3000) * time_s
        altitude += generator.uniform(-200, 200) * time_s**2 + generator.normal(
            0, 10 ** generator.uniform(-3, 4), 50
        )
        altitude = np.where(generator.random() < 0.2, 0.0, altitude)
        batch.append(
            window(np.clip(altitude, -500, 1e5), generator.uniform(-60, 3600), generator.uniform(0.4, 400))
        )
    return np.concatenate(batch)


@settings(max_examples=100, deadline=None)
@given(raw_batches())
def test_total_and_row_by_row(raw: np.ndarray) -> None:
    features = WORKLOAD.features(raw)
    assert features.shape == (len(raw), len(WORKLOAD.feature_names))
    assert np.isfinite(features).all()
    alone = np.concatenate([WORKLOAD.features(raw[i : i + 1]) for i in range(len(raw))])
    np.testing.assert_allclose(features, alone, rtol=1e-12, atol=1e-12)
    anchors = anchors_of(WORKLOAD, features)
    ends = np.array(
        [WORKLOAD.decode_target(np.full(len(raw), y), anchors) for y in (-50.0, -0.5, 0.0, 0.5, 50.0)]
    )
    assert np.isfinite(ends).all()
    assert (np.diff(ends, axis=0) >= 0).all()
    assert np.isfinite(WORKLOAD.interval_scale(anchors)).all()
    assert all(np.isfinite(p).all() for p in WORKLOAD.baselines(features).values())


@given(st.floats(0.3, 3.0))
def test_encoding_is_undone(ratio: float) -> None:
    anchors = anchors_of(WORKLOAD, WORKLOAD.features(window(coast(120.0, 3e-4)[0])))
    target = anchors[:, 0] + ratio * anchors[:, 1]
    encoded = WORKLOAD.encode_target(target, anchors)
    np.testing.assert_allclose(WORKLOAD.decode_target(encoded, anchors), target)


def test_one_sample_a_second_is_answered() -> None:
    time_s = np.arange(0.0, 12.0)
    rows = np.full((12, len(CONTRACT.fields)), np.nan)
    rows[:, 0], rows[:, 1] = time_s, 120 * time_s - GRAVITY_MPS2 / 2 * time_s**2
    raw = np.stack([w.values for w in cut_windows(CONTRACT, rows.tolist())])
    estimate = WORKLOAD.baselines(WORKLOAD.features(raw))["ballistic"]
    np.testing.assert_allclose(estimate, 120**2 / (2 * GRAVITY_MPS2), rtol=0.04)


def test_an_empty_batch() -> None:
    assert WORKLOAD.features(np.zeros((0, 50, 8))).shape == (0, len(WORKLOAD.feature_names))
