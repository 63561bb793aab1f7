"""Reading recorded flights: what is understood, and what is refused in which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.config import load_contract
from features.errors import FieldError
from training.runtime.settings import REPOSITORY
from training.sources.base import LOG, no_progress, serial_map
from training.sources.recorded import make_source, read_logs

CONTRACT = load_contract(REPOSITORY / "configs" / "workloads", "apogee")


def flight(rate_hz: float = 20, peak_m: float = 500.0) -> pd.DataFrame:
    """A parabola that peaks at 10 s."""
    time_s = np.arange(0, 15, 1 / rate_hz)
    altitude_m = peak_m - 4.9 * (time_s - 10) ** 2
    return pd.DataFrame({"flight_id": "a", "time_s": time_s, "altitude_agl_m": altitude_m})


def written(table: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_csv_and_parquet_give_the_same_log(tmp_path: Path, suffix: str) -> None:
    (log,) = read_logs(written(flight(), tmp_path / f"f{suffix}"))
    assert (log.entity, log.log) == ("a", "")
    assert log.apogee_m == pytest.approx(500.0, abs=0.06)
    assert log.apogee_s == pytest.approx(10.0, abs=0.1)
    assert list(log.samples.columns) == ["time_s", "altitude_m"]


def test_noise_and_a_spike_do_not_raise_the_apogee(tmp_path: Path) -> None:
    table = flight(rate_hz=100)
    table["altitude_agl_m"] += np.random.default_rng(0).normal(0, 0.5, len(table))
    table["altitude_agl_m"] += np.where(np.arange(len(table)) == 700, 200.0, 0.0)
    (log,) = read_logs(written(table, tmp_path / "f.csv"))
    assert log.apogee_m == pytest.approx(500.5, abs=0.5)


def test_one_sample_a_second_gives_the_highest_one(tmp_path: Path) -> None:
    (log,) = read_logs(written(flight(rate_hz=1), tmp_path / "f.csv"))
    assert (log.apogee_m, log.apogee_s) == (500.0, 10.0)


def test_an_official_apogee_is_used(tmp_path: Path) -> None:
    (log,) = read_logs(written(flight().assign(apogee_m=512.0), tmp_path / "f.csv"))
    assert log.apogee_m == 512.0
    assert log.apogee_s == pytest.approx(10.0, abs=0.1)


def test_loggers_of_one_flight_are_told_apart_and_end_at_apogee(tmp_path: Path) -> None:
    table = pd.concat([flight().assign(device="nose"), flight(peak_m=490.0).assign(device="tail")])
    source = make_source(CONTRACT, str(written(table, tmp_path / "f.parquet")))
    records = source.records(serial_map, no_progress)
    assert records.groupby(["flight_id", LOG])["apogee_m"].first().round(1).to_list() == [500.0, 490.0]
    assert records["time_s"].max() == pytest.approx(10.0, abs=0.06)


def test_rows_in_any_order_and_repeated_rows(tmp_path: Path) -> None:
    shuffled = pd.concat([flight(), flight().head(20)]).sample(frac=1.0, random_state=1)
    (log,) = read_logs(written(shuffled, tmp_path / "f.csv"))
    assert np.all(np.diff(log.samples["time_s"]) > 0)
    assert len(log.samples) == len(flight())


@pytest.mark.parametrize("missing", ["flight_id", "time_s", "altitude_agl_m"])
def test_a_missing_column_is_named(tmp_path: Path, missing: str) -> None:
    with pytest.raises(FieldError, match=f"expected a column '{missing}' in f.csv"):
        read_logs(written(flight().drop(columns=missing), tmp_path / "f.csv"))


@pytest.mark.parametrize("value", [np.nan, np.inf, 250_000.0, -900.0])
def test_a_wrong_altitude_is_named_by_row(tmp_path: Path, value: float) -> None:
    table = flight()
    table.loc[7, "altitude_agl_m"] = value
    with pytest.raises(FieldError, match=r"altitude_agl_m\[7\]: got .* expected a finite number of m above"):
        read_logs(written(table, tmp_path / "f.parquet"))


def test_times_in_milliseconds_are_refused(tmp_path: Path) -> None:
    table = flight()
    table["time_s"] *= 1000
    with pytest.raises(FieldError, match=r"time_s\[73\]: got .*3650.* expected a finite number of s"):
        read_logs(written(table, tmp_path / "f.csv"))


def test_an_impossible_climb_is_refused(tmp_path: Path) -> None:
    table = flight()
    table["altitude_agl_m"] *= np.where(table["time_s"] > 5, 100.0, 1.0)
    with pytest.raises(FieldError, match="a climb of at most 3000 m/s"):
        read_logs(written(table, tmp_path / "f.csv"))


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected \.csv or \.parquet"):
        read_logs(tmp_path / "f.json")


def test_the_recorded_flights(recorded_flights: Path) -> None:
    logs = read_logs(recorded_flights)
    assert len(logs) == 12
    assert len({log.entity for log in logs}) == 10
    index = pd.read_csv(recorded_flights.with_name("flights_index.csv")).set_index(["flight_id", "device"])
    known_of = index.to_dict("index")
    for log in logs:
        known = known_of[(log.entity, log.log)]
        if known["native_rate_hz"] >= 10:
            assert log.apogee_m == pytest.approx(known["apogee_m"], rel=2e-4)
        assert log.apogee_s == pytest.approx(known["time_to_apogee_s"], abs=1.01)
