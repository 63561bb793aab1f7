"""Trajectory: its features and targets, whatever the place, the heading, the speed and what is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.sphere import great_circle_m
from features.workload import Transform, anchors_of, load_workload
from features.workloads.trajectory import HORIZONS_S, WORKLOAD
from tests.support.tracks import made_up, straight, trajectory_contract, window_of
from training.data.dataset import build_dataset

CONTRACT = trajectory_contract()
NAMES = WORKLOAD.feature_names
PLACES = [(47.0, 8.0), (0.0, 179.99), (89.99, 30.0), (-89.999, -120.0), (12.0, -179.999)]


def feature(features: np.ndarray, name: str) -> np.ndarray:
    return features[..., NAMES.index(name)]


def truth_of(track: pd.DataFrame, end: int = 7) -> np.ndarray:
    rows = track.iloc[end - 1 + (HORIZONS_S / 10).astype(int)]
    return rows[["latitude", "longitude", "altitude_m"]].to_numpy(float)[None]


def test_the_contract_names_it() -> None:
    assert load_workload(CONTRACT) is WORKLOAD
    assert isinstance(WORKLOAD, Transform)
    assert tuple(HORIZONS_S) == CONTRACT.target.horizons_s  # type: ignore[union-attr]
    assert len(set(NAMES)) == len(NAMES)
    assert len(WORKLOAD.output_names) == 12
    assert set(WORKLOAD.anchor_names) <= set(NAMES)


@pytest.mark.parametrize("origin", PLACES)
@pytest.mark.parametrize("course_deg", [0.0, 77.0, 245.0])
def test_constant_velocity_is_exact_on_a_great_circle(origin: tuple[float, float], course_deg: float) -> None:
    track = straight(origin, course_deg, 7.0, altitude_m=0.0)
    features = WORKLOAD.features(window_of(track))
    predicted = WORKLOAD.baselines(features)["constant_velocity"]
    # 4.2 km: the window's grid is between longitudes, which are not straight at the pole itself
    np.testing.assert_allclose(great_circle_m(predicted[..., :2], truth_of(track)[..., :2]), 0, atol=1.0)
    np.testing.assert_allclose(feature(features, "lag_s"), 0, atol=0.01)


def test_it_is_the_same_at_any_place_and_heading() -> None:
    seen = []
    for origin, course_deg in zip(PLACES[:3], (10.0, 130.0, 250.0), strict=True):
        track = straight(origin, course_deg, 200.0, altitude_m=9000.0)
        features = WORKLOAD.features(window_of(track))
        placed = ("latitude", "longitude", "east_mps", "north_mps")
        seen.append(
            [
                feature(features, name)
                for name in NAMES
                if name not in placed and not name.startswith("route_")
            ]
        )
    np.testing.assert_allclose(seen[1], seen[0], atol=1e-6)
    np.testing.assert_allclose(seen[2], seen[0], atol=1e-6)


def test_what_is_reported_is_the_reference_and_what_is_not_is_neutral() -> None:
    heard = straight((47.0, 8.0), 90.0, 200.0, groundspeed_mps=210.0, track_deg=90.0, altitude_m=9000.0)
    features = WORKLOAD.features(window_of(heard))
    assert feature(features, "east_mps")[0, -1] == pytest.approx(210.0)
    assert feature(features, "fit_along")[0, -1] == pytest.approx(-10 / 213, rel=1e-3)
    assert (feature(features, "speed_known") == 1).all()
    silent = WORKLOAD.features(window_of(heard.drop(columns=["groundspeed_mps", "altitude_m"])))
    assert feature(silent, "east_mps")[0, -1] == pytest.approx(200.0, rel=1e-3)
    for name in (
        "speed_known",
        "altitude_known",
        "altitude_m",
        "reported_along",
        "reported_left",
        "climb_mps",
    ):
        assert (feature(silent, name) == 0).all(), name


@pytest.mark.parametrize(("speed_mps", "track_deg"), [(200.0, 180.0), (120.0, 90.0), (200.0, 50.0)])
def test_what_contradicts_the_positions_counts_as_not_reported(speed_mps: float, track_deg: float) -> None:
    track = straight((47.0, 8.0), 90.0, 200.0, altitude_m=9000.0)
    silent = WORKLOAD.features(window_of(track))
    heard = WORKLOAD.features(window_of(track.assign(groundspeed_mps=speed_mps, track_deg=track_deg)))
    np.testing.assert_array_equal(heard, silent)


@pytest.mark.parametrize("degrees_a_second", [-3.0, -1.0, 1.0, 3.0])
def test_what_is_reported_in_a_turn_counts(degrees_a_second: float) -> None:
    times = np.arange(70) * 10.0
    bearing = np.radians(degrees_a_second * times)
    radius_m = 150.0 / np.radians(degrees_a_second)
    track = straight((0.0, 0.0), 0.0, 0.0, altitude_m=0.0).assign(
        latitude=radius_m * np.sin(bearing) / 111_195,
        longitude=radius_m * (1 - np.cos(bearing)) / 111_195,
        groundspeed_mps=150.0,
        track_deg=np.degrees(bearing) % 360,
    )
    assert (feature(WORKLOAD.features(window_of(track)), "speed_known") == 1).all()


def test_a_turn_to_the_left_is_seen_and_learnt_as_one() -> None:
    times = np.arange(70) * 10.0
    bearing = np.radians(90 - times)  # 1 degree a second to the left
    north, east = np.cumsum(np.cos(bearing)) * 1500, np.cumsum(np.sin(bearing)) * 1500
    track = straight((0.0, 0.0), 0.0, 0.0, altitude_m=0.0).assign(
        latitude=north / 111_195,
        longitude=east / 111_195,
        groundspeed_mps=150.0,
        track_deg=np.degrees(bearing) % 360,
    )
    features = WORKLOAD.features(window_of(track))
    assert feature(features, "track_turn")[0, -1] == pytest.approx(np.radians(60), rel=1e-6)
    assert feature(features, "turn")[0, -1] > 0.5
    encoded = WORKLOAD.encode_target(truth_of(track), anchors_of(WORKLOAD, features))
    assert encoded[0, WORKLOAD.output_names.index("left_in_60_s")] > 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_target_comes_back(data: st.DataObject) -> None:
    rows = 3
    unit = st.floats(-1, 1)
    draw = np.array(data.draw(st.lists(unit, min_size=rows * 19, max_size=rows * 19))).reshape(rows, 19)
    anchors = draw[:, :7] * [90, 180, 10_000, 0, 300, 300, 0] + [0, 0, 0, 1, 0, 0, 1]
    near = draw[:, 7:].reshape(rows, 4, 3) * [1.5, 1.5, 12_000]
    target = anchors[:, None, :3] * [1, 1, 0] + near
    target[..., 0] = np.clip(target[..., 0], -90, 90)
    target[..., 1] = (target[..., 1] + 180) % 360 - 180
    back = WORKLOAD.decode_target(WORKLOAD.encode_target(target, anchors), anchors)
    np.testing.assert_allclose(great_circle_m(back[..., :2], target[..., :2]), 0, atol=0.05)
    np.testing.assert_allclose(back[..., 2], target[..., 2], atol=1e-6)
    encoded = near.reshape(rows, 12) / 20
    encoded[:, 2::3] *= 1e-3
    again = WORKLOAD.encode_target(WORKLOAD.decode_target(encoded, anchors), anchors)
    np.testing.assert_allclose(again, encoded, atol=1e-3 if np.abs(anchors[:, 0]).max() > 89.99 else 1e-6)


def test_what_is_not_known_stays_so() -> None:
    features = WORKLOAD.features(window_of(straight((47.0, 8.0), 90.0, 200.0)))
    anchors = anchors_of(WORKLOAD, features)
    target = np.full((1, 4, 3), np.nan)
    target[0, 1] = 47.0, 8.3, 9000.0
    encoded = WORKLOAD.encode_target(target, anchors)
    # the altitude at the end of the window is not known: nothing to climb from
    assert np.flatnonzero(np.isfinite(encoded[0])).tolist() == [3, 4]
    assert (WORKLOAD.decode_target(np.ones((1, 12)), anchors)[..., 2] == 0).all()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_they_are_finite_wherever_the_contract_holds(data: st.DataObject) -> None:
    columns = [
        data.draw(
            st.one_of(
                st.lists(st.floats(f.minimum, f.maximum), min_size=7, max_size=7),
                *([st.just([f.fill.constant] * 7)] if f.fill and f.fill.constant is not None else []),
            )
        )
        for f in CONTRACT.fields[1:]
    ]
    raw = np.stack([1.6e9 + 10.0 * np.arange(7), *map(np.array, columns), np.full(7, 0.1)], axis=1)[None]
    features = WORKLOAD.features(raw)
    assert features.shape == (1, 6, len(NAMES))
    assert np.isfinite(features).all()
    anchors = anchors_of(WORKLOAD, features)
    decoded = WORKLOAD.decode_target(np.full((1, 12), 3.0), anchors)
    assert np.isfinite(decoded).all()
    assert np.isfinite(WORKLOAD.interval_scale(anchors)).all()
    assert (np.abs(decoded[..., 0]) <= 90).all()
    assert (np.abs(decoded[..., 1]) <= 180).all()
    assert all(np.isfinite(predicted).all() for predicted in WORKLOAD.baselines(features).values())


def test_a_row_does_not_depend_on_its_batch() -> None:
    dataset = build_dataset(CONTRACT, WORKLOAD, made_up(12))
    alone = WORKLOAD.features(dataset.raw[5:6].astype(float))
    np.testing.assert_array_equal(alone[0], WORKLOAD.features(dataset.raw.astype(float))[5])
