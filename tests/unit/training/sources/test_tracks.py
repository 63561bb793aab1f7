"""Recorded tracks from a file, those of the package traffic, and made-up vehicles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import FieldError
from features.sphere import great_circle_m
from tests.support.recorded import recorded_file
from tests.support.tracks import START_S, constant_velocity_errors, made_up, straight, trajectory_contract
from training.sources.base import LOG, no_progress, serial_map
from training.sources.tracks import make_source, read_positions, track_records
from training.sources.traffic_adsb import make_source as traffic_source
from training.sources.traffic_adsb import tidy_positions
from training.sources.vehicles import GeneratedVehicles
from training.sources.vehicles import make_source as vehicles_source

CONTRACT = trajectory_contract()


def test_the_truth_is_where_the_same_track_was_later() -> None:
    track = straight((0.0, 179.9), 90.0, 250.0, samples=20, altitude_m=np.arange(20) * 100.0)
    records = track_records(CONTRACT, track)
    now, then = records.iloc[3], records.iloc[9]
    assert now["latitude_in_60_s"] == pytest.approx(then["latitude"], abs=1e-9)
    assert now["longitude_in_60_s"] == pytest.approx(then["longitude"], abs=1e-9)
    assert now["altitude_m_in_60_s"] == pytest.approx(900.0)
    assert records["latitude_in_120_s"].notna().sum() == 8
    assert records["latitude_in_300_s"].isna().all()


def test_a_truth_lies_between_two_samples_but_not_in_a_gap() -> None:
    track = straight((0.0, 0.0), 0.0, 100.0, samples=20)
    thinned = track_records(CONTRACT, track.drop(index=[9]))
    metres = great_circle_m(
        thinned.loc[3, ["latitude_in_60_s", "longitude_in_60_s"]].to_numpy(float), np.array([0.0, 0.0])
    )
    assert metres == pytest.approx(9000.0, abs=0.01)
    interrupted = track_records(CONTRACT, track.drop(index=range(8, 12)))
    assert interrupted["latitude_in_60_s"].isna().iloc[3]


def test_what_the_api_would_refuse_is_no_sample() -> None:
    track = straight((47.0, 8.0), 0.0, 100.0, samples=10, altitude_m=9000.0, vertical_rate_mps=0.0)
    track.loc[2, "vertical_rate_mps"] = 999.0
    track.loc[4, "latitude"] = np.nan
    records = track_records(CONTRACT, pd.concat([track, track.iloc[[6]]]))
    assert len(records) == 9
    assert np.isnan(records["vertical_rate_mps"].to_numpy()[2])


def test_an_aircraft_with_two_tracks_is_one_entity() -> None:
    both = pd.concat(
        [straight((47.0, 8.0), 0.0, 200.0), straight((48.0, 8.0), 0.0, 200.0).assign(track_id="T2")]
    )
    records = track_records(CONTRACT, both.assign(icao24="4b1800"))
    assert records["track_id"].unique().tolist() == ["4b1800"]
    assert sorted(records[LOG].unique()) == ["T1", "T2"]


def test_files_are_read_and_faults_named(tmp_path: Path) -> None:
    csv, stamped = tmp_path / "a.csv", tmp_path / "b.csv"
    track = straight((47.0, 8.0), 0.0, 200.0)
    track.to_csv(csv, index=False)
    source = make_source(CONTRACT, str(csv))
    assert len(source.records(serial_map, no_progress)) == 70
    before = source.revision
    times = pd.to_datetime(track["time_s"], unit="s", utc=True)
    track.assign(timestamp=times).drop(columns="time_s").to_csv(stamped, index=False)
    assert read_positions(stamped)["time_s"].tolist() == track["time_s"].tolist()
    track.drop(columns="latitude").to_csv(csv, index=False)
    assert source.revision != before
    with pytest.raises(FieldError, match="latitude"):
        read_positions(csv)
    track.assign(track_id=None).to_csv(csv, index=False)
    with pytest.raises(FieldError, match=r"track_id\[0\]"):
        read_positions(csv)
    with pytest.raises(ValueError, match=r"expected \.csv or \.parquet"):
        read_positions(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError):
        _ = make_source(CONTRACT, str(tmp_path / "none.csv")).revision


def test_tables_of_traffic_are_thinned_and_converted() -> None:
    seconds = pd.to_datetime(START_S + np.arange(65.0), unit="s", utc=True)
    table = pd.DataFrame(
        {"timestamp": seconds, "icao24": "4b1800", "callsign": "SWR1", "latitude": 47.0, "longitude": 8.0}
    ).assign(altitude=10_000, groundspeed=400, track=90.0, vertical_rate=-600)
    positions = tidy_positions(table)
    assert positions["time_s"].tolist() == [START_S + 10 * number for number in range(7)]
    first = positions.iloc[0]
    assert first["track_id"] == "4b1800-SWR1"
    assert first["altitude_m"] == pytest.approx(3048.0)
    assert first["groundspeed_mps"] == pytest.approx(205.78, abs=0.01)
    assert first["vertical_rate_mps"] == pytest.approx(-3.048)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.sources.traffic_adsb.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'raysonde\[adsb\]'"):
        traffic_source(CONTRACT).records(serial_map, no_progress)


def test_vehicles_are_the_same_for_a_seed_and_any_mapper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.sources.vehicles._BATCH", 10)
    source = vehicles_source(CONTRACT, vehicles=12, seed=3)
    assert isinstance(source, GeneratedVehicles)

    def backwards(function, items, progress):  # type: ignore[no-untyped-def]
        return [function(item) for item in reversed(items)][::-1]

    there = source.records(serial_map, no_progress)
    pd.testing.assert_frame_equal(there, source.records(backwards, no_progress))
    assert there["track_id"].nunique() == 12
    assert not there.equals(vehicles_source(CONTRACT, vehicles=12, seed=4).records(serial_map, no_progress))


def test_vehicles_move_as_aircraft_and_ships_do() -> None:
    records = made_up(120)
    kind = records["track_id"].str.split("-").str[0]
    fastest = records["groundspeed_mps"].groupby(kind).max()
    assert fastest["ship"] < 20
    assert 180 < fastest["cruise"] < 340
    assert set(kind) >= {"cruise", "departure", "approach", "light", "ship"}
    assert records.loc[kind == "ship", "altitude_m"].abs().max() < 20
    assert records["vertical_rate_mps"].abs().max() < 20
    landed = records[(kind == "approach") & (records["altitude_m_in_600_s"] < 25)]
    assert len(landed) > 0
    assert records["latitude"].max() > 50
    assert records["latitude"].min() < -50


def test_vehicles_lack_what_recorded_tracks_lack() -> None:
    records = made_up(120)
    for name, low, high in (("altitude_m", 0.05, 0.25), ("groundspeed_mps", 0.05, 0.25)):
        assert low < records[name].isna().mean() < high, name
    gaps = records.groupby(["track_id", LOG])["time_s"].diff()
    assert gaps.max() > 30
    assert (gaps.dropna() == 10).mean() > 0.95
    altitude = records["altitude_m"].dropna()
    np.testing.assert_allclose(altitude / 7.62, np.round(altitude / 7.62), atol=1e-6)


def test_the_truth_of_vehicles_is_where_they_are() -> None:
    """A sample 60 s later is near the truth: what is left is the noise of the receiver."""
    records = made_up()
    later = records[["track_id", LOG, "time_s", "latitude", "longitude", "groundspeed_mps"]]
    joined = records.assign(due=records["time_s"] + 60).merge(
        later, left_on=["track_id", LOG, "due"], right_on=["track_id", LOG, "time_s"], suffixes=("", "_later")
    )
    error_m = great_circle_m(
        joined[["latitude_in_60_s", "longitude_in_60_s"]].to_numpy(),
        joined[["latitude_later", "longitude_later"]].to_numpy(),
    )
    assert len(joined) > 1000
    assert np.median(error_m) < 40
    assert np.quantile(error_m, 0.99) < 700


def test_constant_velocity_on_recorded_tracks() -> None:
    """The larger file of Switzerland has an integration test."""
    errors_km, rows = constant_velocity_errors(
        recorded_file("data", "trajectory", "adsb_quickstart_10s.parquet")
    )
    np.testing.assert_allclose(errors_km, (1.302, 18.116, 54.220), atol=0.0006)
    assert abs(rows - 12_167) < 1000
