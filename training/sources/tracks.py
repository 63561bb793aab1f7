"""Recorded tracks of aircraft or ships, from a CSV or Parquet file with a row a position.

Columns: `track_id`, `timestamp` (with zone) or `time_s`, `latitude` and `longitude` in degrees; perhaps
`altitude_m`, `groundspeed_mps`, `track_deg`, `vertical_rate_mps`, and `icao24` (or `mmsi`), the vehicle: an
aircraft with several tracks is one entity, so that it is never held out and learnt from at once. The truth
at each row is where the same track was at the contract's horizons.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contract import Contract
from features.errors import FieldError
from features.geo import from_local, local_m
from features.targets import PathTarget
from training.sources.base import LOG
from training.sources.files import RecordedFile, read_table

FloatArray = NDArray[np.float64]

_VEHICLES = ("icao24", "mmsi")
# A truth is taken from between two positions that are at most so far apart in time.
_LONGEST_GAP_S = 30.0
_ALTITUDE = "altitude_m"


def make_source(contract: Contract, path: str) -> RecordedFile:
    """Make the source for a contract, from the options in its YAML file."""
    return RecordedFile(Path(path), lambda file: track_records(contract, read_positions(file)))


def read_positions(path: Path) -> pd.DataFrame:
    """Read the rows of a file, with the times as `time_s`.

    Raises:
        FieldError: a column is missing, or a row has no track.
        ValueError: the file is neither CSV nor Parquet.
    """
    table = read_table(path)
    if "time_s" not in table and "timestamp" in table:
        since = pd.to_datetime(table["timestamp"], utc=True) - pd.Timestamp(0, tz="UTC")
        table = table.assign(time_s=since.dt.total_seconds())
    for name in ("track_id", "time_s", "latitude", "longitude"):
        if name not in table:
            raise FieldError(name, f"columns {list(table.columns)}", f"a column {name!r} in {path.name}")
    missing = table["track_id"].isna().to_numpy()
    if missing.any():
        raise FieldError(f"track_id[{int(missing.argmax())}]", None, "the name of a track in each row")
    return table


def track_records(contract: Contract, positions: pd.DataFrame) -> pd.DataFrame:
    """Return the records of positions: with truths, without what the API would refuse.

    A value out of its range counts as missing, and a row without time or place is no sample.
    """
    vehicle = next((name for name in _VEHICLES if name in positions), "track_id")
    table = pd.DataFrame(
        {
            contract.entity: positions[vehicle].fillna(positions["track_id"]).astype(str),
            LOG: positions["track_id"].astype(str),
        }
    )
    for spec in contract.fields:
        if spec.name in positions:
            values = pd.to_numeric(positions[spec.name], errors="coerce").astype(np.float64)
            table[spec.name] = values.where(values.between(spec.minimum, spec.maximum))
    table = table.dropna(subset=[spec.name for spec in contract.fields if spec.required])
    table = table.sort_values([contract.entity, LOG, "time_s"], kind="stable")
    table = table.drop_duplicates([contract.entity, LOG, "time_s"], ignore_index=True)
    tracks = [rows for _, rows in table.groupby([contract.entity, LOG], sort=False)]
    return pd.concat([with_truths(contract, rows) for rows in tracks], ignore_index=True)


def with_truths(contract: Contract, track: pd.DataFrame) -> pd.DataFrame:
    """Add to a track, times increasing, where it was at each horizon after each row.

    NaN where the track had ended, or was interrupted for more than 30 s.
    """
    assert isinstance(contract.target, PathTarget)
    times = track["time_s"].to_numpy(np.float64)
    places = track[["latitude", "longitude"]].to_numpy(np.float64)
    altitude = track[_ALTITUDE].to_numpy(np.float64) if _ALTITUDE in track else np.full(len(track), np.nan)
    found: list[Any] = []
    for horizon_s in contract.target.horizons_s:
        place, height = _at(times, places, altitude, times + horizon_s)
        found += [place[:, 0], place[:, 1], height]
    return track.assign(**dict(zip(contract.target_columns, found, strict=True)))


def _at(
    times: FloatArray, places: FloatArray, altitude: FloatArray, wanted: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Places (n, 2) and altitudes (n,) at times `wanted`, along the great circle between two positions."""
    after = np.searchsorted(times, wanted)
    inside = (after > 0) & (after < len(times))
    after = np.clip(after, 1, max(len(times) - 1, 1))
    if len(times) < 2:
        return np.full((len(wanted), 2), np.nan), np.full(len(wanted), np.nan)
    before = after - 1
    gap_s = times[after] - times[before]
    share = (wanted - times[before]) / gap_s
    known = inside & (gap_s <= _LONGEST_GAP_S)
    local = local_m(places[before], places[after])
    place = from_local(places[before], share[:, None] * local)
    height = altitude[before] + share * (altitude[after] - altitude[before])
    return np.where(known[:, None], place, np.nan), np.where(known, height, np.nan)
