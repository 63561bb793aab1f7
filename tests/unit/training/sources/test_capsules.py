"""Simulated tracks: seeded, labelled as recorded ones are, and only such that come down."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.support.reentry import reentry_contract
from training.sources.base import no_progress, serial_map
from training.sources.capsules import draw_path, make_source, simulate_batch
from training.sources.simulation.sightings import TruePath, draw_sensor, observe


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return make_source(reentry_contract(), tracks=60, seed=3).records(serial_map, no_progress)


def path_of(kind: str, seed: int = 0) -> TruePath:
    for number in range(seed, seed + 50):
        path = draw_path(np.random.default_rng(number), kind)
        if path is not None:
            return path
    raise AssertionError(kind)


def test_records_are_those_of_the_contract_and_of_the_seed(records: pd.DataFrame) -> None:
    contract = reentry_contract()
    kinds = set(records["track_id"].str.split("-").str[0])
    assert set(records) == {*contract.field_names, "track_id", "sensor_id", contract.target_columns[0]}
    assert set(records["phase"]) == {"nominal", "reentry"}
    pd.testing.assert_frame_equal(
        simulate_batch("phase", 3, range(20, 30)),
        records[
            records["track_id"].isin({f"{k}-3-{i:05d}" for k in kinds for i in range(20, 30)})
        ].reset_index(drop=True),
    )
    other = make_source(contract, tracks=2, seed=4).records(serial_map, no_progress)
    assert not other["timestamp"].isin(records["timestamp"]).any()


def test_values_are_what_the_contract_allows_and_points_seconds_apart(
    records: pd.DataFrame,
) -> None:
    for spec in reentry_contract().fields:
        values = records[spec.name].dropna()
        assert values.between(spec.minimum, spec.maximum).all(), spec.name
    steps_s = records.groupby("track_id")["timestamp"].diff().dropna()
    assert steps_s.min() > 0.4
    assert 1 < steps_s.median() < 10
    assert records.groupby("track_id").size().between(12, 40).all()


@pytest.mark.parametrize("kind", ["capsule", "upper_stage", "booster", "hop"])
def test_what_comes_back_is_a_reentry_after_its_top_and_below_100_km(kind: str) -> None:
    path = path_of(kind)
    top = int(path.altitude_m.argmax())
    expected = (np.arange(len(path.time_s)) > top) & (path.altitude_m <= 100_000)
    np.testing.assert_array_equal(path.reentry, expected)
    assert path.altitude_m[-1] < 20_000 < 100_000 < path.altitude_m[top]


@pytest.mark.parametrize("kind", ["orbit", "transfer", "aircraft", "balloon"])
def test_what_stays_up_or_never_left_is_nominal(kind: str) -> None:
    assert not any(path_of(kind, seed).reentry.any() for seed in range(8))


def test_a_way_out_of_orbit_climbs_and_an_aircraft_stays_below_20_km() -> None:
    path = path_of("transfer", 1)
    assert path.altitude_m[-1] > path.altitude_m[0]
    assert max(path_of("aircraft", seed).altitude_m.max() for seed in range(8)) < 20_000


def test_the_glow_grows_with_the_power_of_the_air_and_needs_a_radiometer() -> None:
    path = path_of("capsule")
    generator = np.random.default_rng(0)
    seeing = next(s for s in (draw_sensor(generator) for _ in range(50)) if s.floor is not None)
    points = observe(path, seeing, np.random.default_rng(1))
    assert (points["radiometric_intensity"] > 0).all()
    blind = next(s for s in (draw_sensor(generator) for _ in range(50)) if s.floor is None)
    assert observe(path, blind, np.random.default_rng(1))["radiometric_intensity"].isna().all()
