"""Recorded tracks: one reader of track points, of launches and of aircraft."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import FieldError
from features.workloads.reentry import WORKLOAD
from tests.support.recorded import recorded_file
from tests.support.reentry import reentry_contract
from training.data.dataset import build_dataset
from training.sources.base import load_source, no_progress, serial_map
from training.sources.recorded_tracks import read_tracks

CONTRACT = reentry_contract()


def launch(seconds: int = 300) -> pd.DataFrame:
    """Up to 100 km in a parabola, and down; level at 1 km/s on the way."""
    time_s = np.arange(float(seconds))
    climb = 1400 * (1 - 2 * time_s / seconds)
    altitude_m = np.maximum(np.cumsum(climb), 0)
    return pd.DataFrame(
        {
            "mission": "Test 1",
            "stage": 1,
            "time_s": time_s,
            "speed_mps": np.hypot(climb, 1000),
            "altitude_km": np.round(altitude_m / 1000, 1),
            "label_reentry": ((time_s > seconds / 2) & (altitude_m <= 1e5)).astype(int),
        }
    )


def written(table: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return path


@pytest.mark.parametrize("name", ["tracks.csv", "tracks.parquet"])
def test_track_points_are_read_in_order(tmp_path: Path, name: str) -> None:
    table = pd.DataFrame(
        {
            "track_id": ["b", "a", "a", "a"],
            "sensor_id": "s",
            "timestamp": [1.0, 3.0, 2.0, 2.0],
            "latitude": 10.0,
            "longitude": 20.0,
            "altitude": 5e4,
            "phase": "nominal",
        }
    )
    file = written(table, tmp_path / name)
    source = load_source(CONTRACT, {"module": "training.sources.recorded_tracks", "path": str(file)})
    records = source.records(serial_map, no_progress)
    assert records[["track_id", "timestamp"]].values.tolist() == [["a", 2.0], ["a", 3.0], ["b", 1.0]]


def test_a_missing_column_and_another_kind_of_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match=r"expected a column 'sensor_id' in t\.csv"):
        read_tracks(CONTRACT, written(pd.DataFrame({"track_id": ["a"]}), tmp_path / "t.csv"))
    with pytest.raises(FieldError, match=r"expected at least one point in t\.csv"):
        read_tracks(CONTRACT, written(pd.DataFrame({"track_id": []}), tmp_path / "t.csv"))
    with pytest.raises(ValueError, match=r"got a \.txt file, expected \.csv or \.parquet"):
        read_tracks(CONTRACT, tmp_path / "t.txt")


def test_a_launch_moves_over_the_ground_as_fast_as_its_speed_and_climb_leave(tmp_path: Path) -> None:
    records = read_tracks(CONTRACT, written(launch(), tmp_path / "l.parquet"))
    assert set(records["track_id"]) == {"Test 1 stage 1"}
    dataset = build_dataset(CONTRACT, WORKLOAD, records)
    names = WORKLOAD.feature_names
    level = np.exp(dataset.features[:, -1, names.index("window_log_level_speed")]) - 10
    np.testing.assert_allclose(level[20:-20], 1000, rtol=0.02)
    assert dataset.target.sum() > 50


def test_a_display_that_ran_over_ends_the_track(tmp_path: Path) -> None:
    table = launch()
    table.loc[120:, "altitude_km"] = 999.0
    records = read_tracks(CONTRACT, written(table, tmp_path / "l.parquet"))
    assert len(records) == 120


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_aircraft_are_nominal_and_points_without_altitude_left_out(tmp_path: Path, name: str) -> None:
    table = pd.DataFrame(
        {
            "track_id": "x",
            "timestamp": ["2021-10-07 13:21:20+00:00", "2021-10-07 13:21:30.5+00:00"],
            "latitude": 48.0,
            "longitude": 2.0,
            "altitude_m": [np.nan, 1000.0],
        }
    )
    (row,) = read_tracks(CONTRACT, written(table, tmp_path / name)).to_dict("records")
    assert (row["timestamp"], row["altitude"], row["phase"]) == (1633612890.5, 1000.0, "nominal")


def test_the_threshold_finds_recorded_reentries_and_is_alarmed_by_landing_aircraft() -> None:
    """What a model has to beat: nearly right about boosters, wrong about every aircraft that descends."""
    found = {}
    for name in ("reentry/falcon9_stage1_1hz", "trajectory/adsb_quickstart_10s"):
        tracks = read_tracks(CONTRACT, recorded_file("data", f"{name}.parquet"))
        dataset = build_dataset(CONTRACT, WORKLOAD, tracks)
        predicted = WORKLOAD.baselines(dataset.features)["altitude_threshold"].argmax(axis=1)
        found[name] = (
            len(predicted),
            int((predicted * dataset.target).sum()),
            int((predicted * (1 - dataset.target)).sum()),
            int(((1 - predicted) * dataset.target).sum()),
        )
    assert found == {
        "reentry/falcon9_stage1_1hz": (2738, 798, 0, 32),
        "trajectory/adsb_quickstart_10s": (10676, 0, 4757, 0),
    }
