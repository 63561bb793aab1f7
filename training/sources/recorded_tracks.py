"""Recorded tracks, from a CSV or Parquet file of one of three kinds, told apart by their columns.

- Track points: the contract's own columns, and its target where it is known.
- Telemetry of launches: `mission`, `stage`, `time_s`, `speed_mps`, `altitude_km`, `label_reentry`. Positions
  were not published: the vehicle is put on a great circle along which it moves as its speed and the change
  of its altitude say.
- Aircraft: `track_id`, `timestamp`, `latitude`, `longitude`, `altitude_m`; none of them is a re-entry. Points
  without an altitude are left out.

No radiometer watched the last two, so that their intensity is left to the contract's fill.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from features.contract import Contract
from features.errors import FieldError
from training.sources.base import LOG
from training.sources.files import RecordedFile, read_table
from training.sources.simulation.trajectories import EARTH_RADIUS_M

FloatArray = NDArray[np.float64]

NOMINAL, REENTRY = "nominal", "reentry"

_LAUNCH = {"mission", "stage", "time_s", "speed_mps", "altitude_km", "label_reentry"}
_AIRCRAFT = {"track_id", "timestamp", "latitude", "longitude", "altitude_m"}
# Cape Canaveral; launches go east.
_SITE_LATITUDE, _SITE_LONGITUDE = 28.5, -80.6
# A published altitude that changes faster is a display that ran over, and what follows it is of no use.
_FASTEST_CLIMB_MPS = 15_000.0
# Altitudes are whole kilometres in space: the climb is taken from a line through this many seconds.
_SMOOTHING_S = 21


def make_source(contract: Contract, path: str) -> RecordedFile:
    """Make the source for a contract, from the options in its YAML file."""
    return RecordedFile(Path(path), partial(read_tracks, contract))


def read_tracks(contract: Contract, path: Path) -> pd.DataFrame:
    """Read the file's points with the contract's columns, track by track, times increasing.

    Raises:
        FieldError: a column is missing, or the file has no points.
        ValueError: the file is neither CSV nor Parquet.
    """
    table = read_table(path)
    if table.empty:
        raise FieldError("rows", 0, f"at least one point in {path.name}")
    if set(table) >= _LAUNCH:
        points = launch_points(table).assign(**{LOG: "launches"})
    elif set(table) >= _AIRCRAFT:
        points = aircraft_points(table).assign(**{LOG: "aircraft"})
    else:
        return _own_points(contract, table, path)
    return points.rename(columns={"phase": contract.target_columns[0]})


def launch_points(table: pd.DataFrame) -> pd.DataFrame:
    """Telemetry of launches as track points, a track a mission and stage."""
    tracks = [
        _launch_track(f"{mission} stage {stage}", rows)
        for (mission, stage), rows in table.groupby(["mission", "stage"], sort=False)
    ]
    return pd.concat(tracks, ignore_index=True)


def aircraft_points(table: pd.DataFrame) -> pd.DataFrame:
    """Tracks of aircraft as track points; their times become Unix seconds."""
    known = table.dropna(subset=["latitude", "longitude", "altitude_m"])
    when = pd.to_datetime(known["timestamp"], utc=True, format="ISO8601")
    seconds = (when - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    points = pd.DataFrame(
        {
            "track_id": known["track_id"].astype(str),
            "sensor_id": "adsb",
            "timestamp": seconds,
            "latitude": known["latitude"].astype(np.float64),
            "longitude": known["longitude"].astype(np.float64),
            "altitude": known["altitude_m"].astype(np.float64),
            "phase": NOMINAL,
        }
    )
    return _in_order(points, ["track_id", "sensor_id"])


def _own_points(contract: Contract, table: pd.DataFrame, path: Path) -> pd.DataFrame:
    required = ["track_id", "sensor_id", *(spec.name for spec in contract.fields if spec.required)]
    for name in required:
        if name not in table:
            raise FieldError(name, f"columns {list(table.columns)}", f"a column {name!r} in {path.name}")
    return _in_order(table, ["track_id", "sensor_id"])


def _in_order(points: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    unique = points.drop_duplicates([*keys, "timestamp"])
    return unique.sort_values([*keys, "timestamp"], kind="stable").reset_index(drop=True)


def _launch_track(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.sort_values("time_s").drop_duplicates("time_s")
    time_s = rows["time_s"].to_numpy(np.float64)
    altitude_m = 1000 * rows["altitude_km"].to_numpy(np.float64)
    climb = np.abs(np.diff(altitude_m)) / np.diff(time_s)
    stop = int(np.argmax(climb > _FASTEST_CLIMB_MPS)) + 1 if (climb > _FASTEST_CLIMB_MPS).any() else len(rows)
    time_s, altitude_m, rows = time_s[:stop], altitude_m[:stop], rows.iloc[:stop]
    angle = _ground_angle_rad(time_s, rows["speed_mps"].to_numpy(np.float64), altitude_m)
    latitude, longitude = _eastward(angle)
    return pd.DataFrame(
        {
            "track_id": name,
            "sensor_id": "telemetry",
            "timestamp": time_s,
            "latitude": latitude,
            "longitude": longitude,
            "altitude": altitude_m,
            "phase": np.where(rows["label_reentry"].to_numpy() == 1, REENTRY, NOMINAL),
        }
    )


def _ground_angle_rad(time_s: FloatArray, speed_mps: FloatArray, altitude_m: FloatArray) -> FloatArray:
    """(n,) angle at the centre of the Earth since the first point."""
    whole_s = np.arange(time_s[0], time_s[-1] + 1)
    heights = np.interp(whole_s, time_s, altitude_m)
    if len(whole_s) > _SMOOTHING_S:
        climb = savgol_filter(heights, _SMOOTHING_S, 1, deriv=1)
    else:
        climb = np.gradient(heights) if len(whole_s) > 1 else np.zeros(1)
    speed = np.interp(whole_s, time_s, speed_mps)
    level = np.sqrt(np.maximum(speed**2 - climb**2, 0)) / (EARTH_RADIUS_M + heights)
    angle = np.concatenate([[0.0], np.cumsum((level[1:] + level[:-1]) / 2)])
    return np.asarray(np.interp(time_s, whole_s, angle))


def _eastward(angle_rad: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Latitude and longitude on the great circle that leaves the site to the east."""
    start = np.radians(_SITE_LATITUDE)
    latitude = np.arcsin(np.sin(start) * np.cos(angle_rad))
    longitude = np.arctan2(np.sin(angle_rad), np.cos(start) * np.cos(angle_rad))
    degrees = _SITE_LONGITUDE + np.degrees(np.unwrap(longitude))
    return np.degrees(latitude), (degrees + 180) % 360 - 180
